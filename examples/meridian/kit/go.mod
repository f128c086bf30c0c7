module meridian.example/kit

go 1.26.0
