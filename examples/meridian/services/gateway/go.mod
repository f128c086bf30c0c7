module meridian.example/gateway

go 1.26.0
