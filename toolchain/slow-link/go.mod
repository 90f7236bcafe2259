module labsupport.invalid/toolchain/slow-link

go 1.26.0
