// Package github speaks to GitHub, and to installations of GitHub Enterprise Server: it checks and reads webhooks, sets commit statuses and
// writes the one comment on a pull request, by GitHub's Go client.
//
// Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads,
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, https://docs.github.com/en/rest/commits/statuses.
package github
