module labsupport.invalid/toolchain/kwok

go 1.26.0
