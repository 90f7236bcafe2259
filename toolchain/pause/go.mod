module labsupport.invalid/toolchain/pause

go 1.26.0
