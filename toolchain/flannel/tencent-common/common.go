// Package common stands in for the part of Tencent Cloud's SDK that flannel's backend for that cloud is compiled
// against. The module proxy does not carry the SDK, and no lab runs in that cloud.
package common

// StringPtr returns a pointer to a text.
func StringPtr(text string) *string { return &text }

// StringPtrs returns a pointer to each of several texts.
func StringPtrs(texts []string) []*string {
	pointers := make([]*string, len(texts))
	for i := range texts {
		pointers[i] = &texts[i]
	}
	return pointers
}

// BoolPtr returns a pointer to a truth value.
func BoolPtr(value bool) *bool { return &value }
