module labsupport.invalid/toolchain/mesh

go 1.26.0

require github.com/weaveworks/mesh v0.0.0-20191105120815-58dbcc3e8e63

require (
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
