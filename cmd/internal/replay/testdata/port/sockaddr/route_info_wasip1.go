package sockaddr

// NewRouteInfo knows of no routes: there are none.
func NewRouteInfo() (routeInfo, error) { return routeInfo{}, ErrNoRoute }

// GetDefaultInterfaceName fails: there are no interfaces.
func (routeInfo) GetDefaultInterfaceName() (string, error) { return "", ErrNoInterface }
