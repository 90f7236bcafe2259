module labsupport.invalid/toolchain/kind

go 1.26.0
