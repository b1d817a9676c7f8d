module static

go 1.21
