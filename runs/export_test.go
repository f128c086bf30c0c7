package runs

// CutOff has f called after each transaction of a coordinator.
func CutOff(o *Options, f func()) { o.wrote = f }
