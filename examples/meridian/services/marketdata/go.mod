module meridian.example/marketdata

go 1.26.0

require github.com/coder/websocket v1.8.15

// Kept in the project, so that it builds without a network: the published files without their tests.
replace github.com/coder/websocket => ./third_party/websocket
