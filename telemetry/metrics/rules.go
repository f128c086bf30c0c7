package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/rules"
)

// Alert is a condition of a rule that holds, or held until now.
type Alert struct {
	// Name is the rule's, and also the label alertname.
	Name string
	// Labels are the rule's, the series' and [Options.ExternalLabels].
	Labels map[string]string
	// Annotations are the rule's, with the templates in them executed.
	Annotations map[string]string
	// Expr is the rule's expression, Value what it was at the last evaluation.
	Expr  string
	Value float64
	// ActiveAt is when the condition began to hold, FiredAt when it had held for as long as the rule says.
	ActiveAt, FiredAt time.Time
	// ResolvedAt is when it ended; zero if it holds.
	ResolvedAt time.Time
	// ValidUntil is until when the alert holds if nobody is told of it again: the teller may have died.
	ValidUntil time.Time
}

// ErrBadRules is a rule file that is not used.
var ErrBadRules = errors.New("bad rules")

// resendDelay is how often it is told again that an alert fires.
const resendDelay = time.Minute

// SetRules replaces all rules by those of some files in Prometheus' format. All files are checked first: with something wrong in one of them,
// which the error says with its line, the rules stay as they were. What an alert has waited already is kept over a change of its group, and over a restart.
func (s *Store) SetRules(files ...string) error {
	var problems []error
	for _, file := range files {
		_, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, s.parser, s.opts.Log)
		problems = append(problems, errs...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrBadRules, errors.Join(problems...))
	}
	_, leave, ok := s.gate.enter(context.Background())
	if !ok {
		return fmt.Errorf("set rules: %w: %w", ErrUnavailable, errClosed)
	}
	defer leave()
	s.ruleFiles.Lock()
	defer s.ruleFiles.Unlock()
	if err := s.rules.Update(s.opts.RuleInterval, files, s.config.GlobalConfig.ExternalLabels, "", nil); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRules, err)
	}
	return nil
}

func (s *Store) openRules() {
	s.rules = rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: model.UTF8Validation,
		ExternalURL:          &url.URL{},
		QueryFunc:            rules.EngineQueryFunc(s.engine, s.db),
		NotifyFunc:           s.notify,
		Context:              s.gate.ctx,
		AppendableV2:         s.storage,
		Queryable:            s.db,
		Logger:               s.opts.Log,
		Registerer:           s.registry,
		OutageTolerance:      time.Hour,
		ForGracePeriod:       10 * time.Minute,
		ResendDelay:          resendDelay,
		MaxConcurrentEvals:   4,
		Parser:               s.parser,
	})
	s.running.Go(s.rules.Run)
}

// notify translates alerts into our words.
func (s *Store) notify(ctx context.Context, expr string, alerts ...*rules.Alert) {
	if s.opts.Alerts == nil || len(alerts) == 0 {
		return
	}
	told := make([]Alert, 0, len(alerts))
	for _, a := range alerts {
		one := Alert{
			Name: a.Labels.Get(labels.AlertName), Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), Expr: expr, Value: a.Value,
			ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, ValidUntil: a.ValidUntil,
		}
		for name, value := range s.opts.ExternalLabels {
			// As the alert's own labels are more precise, they stand.
			if _, has := one.Labels[name]; !has {
				one.Labels[name] = value
			}
		}
		told = append(told, one)
	}
	s.opts.Alerts(ctx, told)
}
