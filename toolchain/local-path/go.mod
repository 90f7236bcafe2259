module labsupport.invalid/toolchain/local-path

go 1.26.0
