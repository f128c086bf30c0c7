module meridian.example/marketdata

go 1.26.0
