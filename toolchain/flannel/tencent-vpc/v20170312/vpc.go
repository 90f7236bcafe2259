// Package v20170312 stands in for Tencent Cloud's VPC client: it compiles, and every call says that it is not there.
package v20170312

import "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"

// Filter, Route and RouteTable have the fields that flannel reads and writes.
type (
	Filter struct {
		Name   *string
		Values []*string
	}
	Route struct {
		DestinationCidrBlock, GatewayType, GatewayId, RouteType *string
		RouteId                                                 *uint64
		Enabled                                                 *bool
	}
	RouteTable struct {
		RouteTableId *string
		RouteSet     []*Route
	}
)

// Requests and responses, as far as flannel knows them.
type (
	DescribeRouteTablesRequest  struct{ Filters []*Filter }
	DescribeRouteTablesResponse struct {
		Response *struct{ RouteTableSet []*RouteTable }
	}
	CreateRoutesRequest struct {
		RouteTableId *string
		Routes       []*Route
	}
	DeleteRoutesRequest struct {
		RouteTableId *string
		Routes       []*Route
	}
)

// Client makes no connection.
type Client struct{}

func NewClientWithSecretId(string, string, string) (*Client, error) {
	return &Client{}, &errors.TencentCloudSDKError{}
}
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}
func NewCreateRoutesRequest() *CreateRoutesRequest { return &CreateRoutesRequest{} }
func NewDeleteRoutesRequest() *DeleteRoutesRequest { return &DeleteRoutesRequest{} }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, &errors.TencentCloudSDKError{}
}

func (*Client) CreateRoutes(*CreateRoutesRequest) (struct{}, error) {
	return struct{}{}, &errors.TencentCloudSDKError{}
}

func (*Client) DeleteRoutes(*DeleteRoutesRequest) (struct{}, error) {
	return struct{}{}, &errors.TencentCloudSDKError{}
}
