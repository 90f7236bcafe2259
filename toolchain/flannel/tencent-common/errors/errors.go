// Package errors stands in for the SDK's own error.
package errors

// TencentCloudSDKError is what every call of the stand-in returns.
type TencentCloudSDKError struct{}

func (*TencentCloudSDKError) Error() string {
	return "this flannel was built without Tencent Cloud's SDK: its backend tencent-vpc does not work"
}
