#include "services/billing/pg_store_rows.h"

namespace allod::billing {
namespace {

struct OutcomeName {
  Outcome outcome;
  const char* text;
};
constexpr OutcomeName kOutcomeNames[] = {{Outcome::kCompleted, "completed"},
                                         {Outcome::kClientCancelled, "client_cancelled"},
                                         {Outcome::kFault, "fault"},
                                         {Outcome::kGatewayLost, "gateway_lost"}};

Outcome OutcomeFromText(const std::string& text) {
  for (const OutcomeName& name : kOutcomeNames) {
    if (text == name.text) return name.outcome;
  }
  throw std::runtime_error("unknown outcome in the database: " + text);
}

}  // namespace

std::string OutcomeText(Outcome outcome) {
  for (const OutcomeName& name : kOutcomeNames) {
    if (outcome == name.outcome) return name.text;
  }
  std::abort();
}

Reservation ReadReservation(RowReader& row) {
  Reservation r;
  r.request_id = row.Id();
  r.instance = row.Text();
  r.variant = row.Text();
  r.price_book = row.Id();
  r.api_key = row.Text();
  r.prompt_tokens_max = row.Int();
  r.completion_tokens_max = row.Int();
  r.currency_code = row.Text();
  r.prompt_price = row.Pico();
  r.completion_price = row.Pico();
  r.hold = row.Pico();
  r.expire_time = row.Micros();
  r.tenant.value = row.Id();
  r.isolation_class = row.Text();
  r.revision = row.Number();
  return r;
}

UsageRecord ReadUsageRecord(RowReader& row) {
  UsageRecord u;
  u.request_id = row.Id();
  u.instance = row.Text();
  u.variant = row.Text();
  u.price_book = row.Id();
  u.api_key = row.Text();
  u.outcome = OutcomeFromText(row.Text());
  u.prompt_tokens = row.Int();
  u.completion_tokens = row.Int();
  u.currency_code = row.Text();
  u.prompt_price = row.Pico();
  u.completion_price = row.Pico();
  u.billed = row.Bool();
  u.cost = row.Pico();
  u.admit_time = row.Micros();
  u.settle_time = row.Micros();
  u.tenant.value = row.Id();
  u.isolation_class = row.Text();
  u.revision = row.Number();
  u.excess_prompt_tokens = row.Int();
  u.excess_completion_tokens = row.Int();
  return u;
}

BillingAccount ReadAccount(RowReader& row) {
  BillingAccount a;
  a.tenant.value = row.Id();
  a.tenant_name = row.Text();
  a.currency_code = row.Text();
  a.credit_limit = row.Pico();
  a.posted = row.Pico();
  a.held = row.Pico();
  return a;
}

}  // namespace allod::billing
