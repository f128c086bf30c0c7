// Package junit reads test reports in the XML that JUnit's Ant task began with and that nearly every test tool writes in a dialect of its
// own: Maven Surefire, gotestsum, pytest, Jest, GoogleTest, PHPUnit and others.
//
// [Parse] reads one report, [Find] all those in a zip archive. Both read what strangers have written, and promise bounded memory and
// time for it: sizes, depth and numbers have limits, entities of a document type are not expanded, and long output is cut, visibly.
// Where dialects differ the reader is generous: attributes may be missing, suites may be nested, counts are counted and not believed,
// and characters that XML does not allow are replaced. What is not well-formed is an error.
//
// The reader is encoding/xml's, token by token, and not github.com/joshdk/go-junit, which holds a document as a tree with the text of
// each element in every element around it, without a limit.
//
// The package must not know where reports come from.
package junit
