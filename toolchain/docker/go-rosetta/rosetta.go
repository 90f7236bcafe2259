// Package rosetta stands in for a macOS-only module that the docker CLI asks
// whether it runs translated on Apple silicon. On Linux the answer is no.
package rosetta

// Available reports whether Rosetta is there to translate: never on Linux.
func Available() bool { return false }

// Enabled reports whether this process runs translated: never on Linux.
func Enabled() bool { return false }

// NativeArch names the machine's own architecture; empty means "ask the Go runtime".
func NativeArch() string { return "" }
