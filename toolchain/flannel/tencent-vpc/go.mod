module github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/vpc

go 1.24

require github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common v0.0.0

replace github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common => ../tencent-common
