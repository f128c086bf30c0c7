module meridian.example/load

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	meridian.example/marketdata v0.0.0
)

replace meridian.example/marketdata => ../services/marketdata
