module meridian.example/ledger

go 1.26.0
