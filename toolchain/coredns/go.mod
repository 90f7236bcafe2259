module labsupport.invalid/toolchain/coredns

go 1.26.0
