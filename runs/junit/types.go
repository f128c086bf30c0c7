package junit

// Status is how a test ended.
type Status string

// A test that could not run to its end, as opposed to one whose expectation failed, is Errored.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Errored Status = "errored"
	Skipped Status = "skipped"
)

// Suite is a suite that has cases of its own. Suites within suites are suites beside them, named "outer / inner".
type Suite struct {
	Name string
	// The numbers are those of Cases: Tests is all of them.
	Tests, Failures, Errors, Skipped int
	// Seconds is the suite's own time where the report gives one, else the sum of the cases'.
	Seconds float64
	Cases   []Case
}

// Case is one test.
type Case struct {
	Class, Name string
	Status      Status
	Seconds     float64
	// Message is the line about a failure or a skip. Output is the failure's text, then what the test wrote.
	Message, Output string
}

// Limits of what is read. Sizes are in bytes.
const (
	// MaxReport is how large a report may be.
	MaxReport = 32 << 20
	// MaxCases is how many tests a report, or an archive, may have.
	MaxCases = 100_000
	// MaxOutput and MaxMessage are where the texts of a case are cut: of an output the beginning and the end are kept.
	MaxOutput  = 64 << 10
	MaxMessage = 4 << 10
	// MaxText is how much text the cases of a report may have together; outputs over it are left out.
	MaxText = 16 << 20

	maxDepth = 64
	maxName  = 1 << 10
)
