#include "services/billing/convert.h"

#include <fmt/format.h>

#include "services/billing/convert_charge.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing {
namespace {

constexpr std::int64_t kTokensPerPrice = 1'000'000;

std::string PriceBookName(Uuid id) { return "priceBooks/" + id.ToString(); }

pb::Outcome ToProto(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return pb::OUTCOME_COMPLETED;
    case Outcome::kClientCancelled:
      return pb::OUTCOME_CLIENT_CANCELLED;
    case Outcome::kFault:
      return pb::OUTCOME_FAULT;
    case Outcome::kGatewayLost:
      return pb::OUTCOME_GATEWAY_LOST;
  }
  return pb::OUTCOME_UNSPECIFIED;
}

}  // namespace

Result<TenantId> ParseTenant(std::string_view field, const std::string& name) {
  ALLOD_CHECK_OK(MatchName(field, name, "tenants/*"));
  return TenantId::FromName(name);
}

Status CheckBelow(std::string_view field, const std::string& name, std::string_view pattern,
                  const std::string& tenant_name) {
  ALLOD_CHECK_OK(MatchName(field, name, pattern));
  if (TenantOf(name) == tenant_name) return {};
  return InvalidArgument("OTHER_TENANT", fmt::format("{}: {} does not belong to {}", field, name, tenant_name));
}

Result<Uuid> ParseRequestId(const std::string& text) {
  ALLOD_TRY(const Uuid id, Uuid::Parse(text));
  ALLOD_CHECK_OK(TimeOfRequestId(id));
  return id;
}

Status CheckApiKey(const std::string& name, const std::string& tenant_name) {
  if (name.empty()) return {};
  // A workload without a key stands under its rule.
  const bool is_workload = name.find("/workloadRules/") != std::string::npos;
  return CheckBelow("api_key", name,
                    is_workload ? "tenants/*/projects/*/workloadRules/*" : "tenants/*/projects/*/apiKeys/*",
                    tenant_name);
}

Result<Outcome> FromProto(pb::Outcome outcome) {
  switch (outcome) {
    case pb::OUTCOME_COMPLETED:
      return Outcome::kCompleted;
    case pb::OUTCOME_CLIENT_CANCELLED:
      return Outcome::kClientCancelled;
    case pb::OUTCOME_FAULT:
      return Outcome::kFault;
    case pb::OUTCOME_GATEWAY_LOST:
      return Outcome::kGatewayLost;
    default:
      return InvalidArgument("INVALID_OUTCOME",
                             fmt::format("outcome: {} cannot be settled; use COMPLETED, CLIENT_CANCELLED, FAULT or "
                                         "GATEWAY_LOST",
                                         static_cast<int>(outcome)));
  }
}

pb::Money ToProto(Amount amount, const std::string& currency_code) {
  pb::Money out;
  out.set_currency_code(currency_code);
  out.set_amount(amount.ToString());
  return out;
}

Result<Uuid> PriceBookId(std::string_view field, const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "priceBooks/*"));
  const auto id = Uuid::Parse(parts.at(0));
  if (id) return *id;
  return InvalidArgument("INVALID_NAME", fmt::format("{}: {} is not `priceBooks/{{uuid}}`", field, name));
}

Result<PriceBook> FromProto(const pb::PriceBook& book) {
  PriceBook out;
  ALLOD_TRY(out.id, PriceBookId("price_book.name", book.name()));
  ALLOD_CHECK_OK(MatchName("price_book.listing", book.listing(), "listings/*"));
  out.listing = book.listing();
  if (static_cast<std::size_t>(book.prices_size()) > kPricesPerBookMax) {
    return InvalidArgument("INVALID_PRICE_BOOK", fmt::format("price_book.prices: {} rows; at most {}",
                                                             book.prices_size(), kPricesPerBookMax));
  }
  for (int i = 0; i < book.prices_size(); ++i) {
    const pb::TokenPrice& in = book.prices(i);
    const std::string field = fmt::format("price_book.prices[{}]", i);
    TokenPrice price{
        .currency_code = in.currency_code(), .variant_id = in.variant_id(), .isolation_class = in.isolation_class()};
    ALLOD_TRY(price.prompt, TokenPriceFromMillion(field + ".prompt_price_per_million", in.prompt_price_per_million()));
    ALLOD_TRY(price.completion,
              TokenPriceFromMillion(field + ".completion_price_per_million", in.completion_price_per_million()));
    out.prices.push_back(std::move(price));
  }
  return CheckPriceBook(std::move(out));
}

pb::PriceBook ToProto(const PriceBook& book) {
  pb::PriceBook out;
  out.set_name(PriceBookName(book.id));
  out.set_listing(book.listing);
  for (const TokenPrice& price : book.prices) {
    pb::TokenPrice& row = *out.add_prices();
    row.set_currency_code(price.currency_code);
    row.set_variant_id(price.variant_id);
    row.set_isolation_class(price.isolation_class);
    row.set_prompt_price_per_million(PerMillion(price.prompt));
    row.set_completion_price_per_million(PerMillion(price.completion));
  }
  *out.mutable_create_time() = ToTimestamp(book.create_time);
  return out;
}

Result<std::string> TenantOfAccount(const std::string& name) {
  ALLOD_CHECK_OK(MatchName("name", name, "tenants/*/billingAccount"));
  return TenantOf(name);
}

Status CheckOwnContent(const pb::SetBillingAccountRequest& request) {
  const pb::BillingAccount& account = request.billing_account();
  ALLOD_TRY(const Amount limit, Amount::Parse("billing_account.credit_limit", account.credit_limit()));
  ALLOD_CHECK_OK(CheckCreditLimit(limit));
  if (account.currency_code().empty()) return {};
  ALLOD_CHECK_OK(MinorUnitDecimals("billing_account.currency_code", account.currency_code()));
  return {};
}

Result<SetAccountCommand> FromProto(const pb::SetBillingAccountRequest& request, const std::string& tenant_currency) {
  const pb::BillingAccount& account = request.billing_account();
  SetAccountCommand out{.currency_code = tenant_currency};
  ALLOD_TRY(out.tenant_name, TenantOfAccount(account.name()));
  ALLOD_TRY(out.tenant, TenantId::FromName(out.tenant_name));
  ALLOD_CHECK_OK(MinorUnitDecimals("tenant.currency_code", tenant_currency));
  if (!account.currency_code().empty() && account.currency_code() != tenant_currency) {
    return InvalidArgument("CURRENCY_MISMATCH",
                           fmt::format("billing_account.currency_code: {} is not {}, the currency of {}",
                                       account.currency_code(), tenant_currency, out.tenant_name));
  }
  ALLOD_TRY(out.credit_limit, Amount::Parse("billing_account.credit_limit", account.credit_limit()));
  ALLOD_TRY(out.request, MakeRequestId(request.request_id(), "SetBillingAccount",
                                       fmt::format("{}\n{}\n{}", out.tenant_name, out.currency_code,
                                                   out.credit_limit.ToPicoString())));
  return out;
}

pb::BillingAccount ToProto(const BillingAccount& account) {
  pb::BillingAccount out;
  out.set_name(account.tenant_name + "/billingAccount");
  out.set_currency_code(account.currency_code);
  out.set_credit_limit(account.credit_limit.ToString());
  *out.mutable_posted() = ToProto(account.posted, account.currency_code);
  *out.mutable_held() = ToProto(account.held, account.currency_code);
  return out;
}

Result<ReserveCommand> FromProto(const pb::ReserveRequest& request) {
  ReserveCommand out{.instance = request.instance(),
                     .variant = request.variant(),
                     .api_key = request.api_key(),
                     .prompt_tokens_max = request.prompt_tokens_max(),
                     .completion_tokens_max = request.completion_tokens_max(),
                     .revision = request.revision()};
  if (out.revision < 0) return InvalidArgument("INVALID_REVISION", "revision: must be 0 or more");
  if (!request.isolation_class().empty()) out.isolation_class = request.isolation_class();
  ALLOD_CHECK_OK(CheckIsolationClass("isolation_class", out.isolation_class));
  ALLOD_TRY(out.tenant, ParseTenant("tenant", request.tenant()));
  ALLOD_TRY(out.request_id, ParseRequestId(request.request_id()));
  ALLOD_CHECK_OK(CheckBelow("instance", request.instance(), "tenants/*/projects/*/instances/*", request.tenant()));
  ALLOD_CHECK_OK(MatchName("variant", request.variant(), "models/*/versions/*/variants/*"));
  ALLOD_TRY(out.price_book, PriceBookId("price_book", request.price_book()));
  ALLOD_CHECK_OK(CheckApiKey(request.api_key(), request.tenant()));
  ALLOD_TRY(out.expire_time, TimeFrom("expire_time", request.expire_time()));
  return out;
}

Result<SettleCommand> FromProto(const pb::SettleRequest& request) {
  SettleCommand out{.prompt_tokens = request.prompt_tokens(), .completion_tokens = request.completion_tokens()};
  ALLOD_TRY(out.tenant, ParseTenant("tenant", request.tenant()));
  ALLOD_TRY(out.request_id, ParseRequestId(request.request_id()));
  ALLOD_TRY(out.outcome, FromProto(request.outcome()));
  return out;
}

pb::UsageRecord ToProto(const UsageRecord& record, const std::string& tenant_name) {
  pb::UsageRecord out;
  out.set_name(fmt::format("{}/usageRecords/{}", tenant_name, record.request_id.ToString()));
  out.set_instance(record.instance);
  out.set_variant(record.variant);
  out.set_price_book(PriceBookName(record.price_book));
  out.set_outcome(ToProto(record.outcome));
  out.set_prompt_tokens(record.prompt_tokens);
  out.set_completion_tokens(record.completion_tokens);
  *out.mutable_cost() = ToProto(record.cost, record.currency_code);
  *out.mutable_admit_time() = ToTimestamp(record.admit_time);
  *out.mutable_settle_time() = ToTimestamp(record.settle_time);
  out.set_api_key(record.api_key);
  out.set_isolation_class(record.isolation_class);
  out.set_excess_prompt_tokens(record.excess_prompt_tokens);
  out.set_excess_completion_tokens(record.excess_completion_tokens);
  return out;
}

Result<UsagePage> FromProto(const pb::ListUsageRecordsRequest& request, const std::string& project) {
  UsagePage out;
  out.query.project = project;
  ALLOD_TRY(out.query.tenant, ParseTenant("parent", request.parent()));
  if (!request.instance().empty()) {
    ALLOD_CHECK_OK(CheckBelow("instance", request.instance(), "tenants/*/projects/*/instances/*", request.parent()));
    out.query.instance = request.instance();
  }
  if (!request.instance().empty() && !request.invoice_line().empty()) {
    return InvalidArgument("INVALID_FILTER", "invoice_line: a line is of one instance; leave `instance` empty");
  }
  if (request.has_start_time()) {
    ALLOD_TRY(out.query.start, TimeFrom("start_time", request.start_time()));
  }
  if (request.has_end_time()) {
    ALLOD_TRY(out.query.end, TimeFrom("end_time", request.end_time()));
  }
  const std::string scope =
      fmt::format("usage of {} {} {} {} {} {}", request.parent(), project, request.instance(), request.invoice_line(),
                  request.start_time().ShortDebugString(), request.end_time().ShortDebugString());
  ALLOD_TRY(out.page, ParsePage(scope, request.page_size(), request.page_token()));
  if (!out.page.after.empty()) {
    ALLOD_TRY(out.query.before, Uuid::Parse(out.page.after));
  }
  out.query.limit = out.page.size + 1;
  return out;
}

pb::LedgerAccount ToProto(const LedgerAccount& account, const std::string& tenant_name) {
  pb::LedgerAccount out;
  out.set_name(fmt::format("{}/ledgerAccounts/{}", tenant_name, account.code));
  *out.mutable_balance() = ToProto(account.balance, account.currency_code);
  *out.mutable_held() = ToProto(account.held, account.currency_code);
  return out;
}

pb::Invoice ToProto(const BillingAccount& account, const InvoicePeriod& period, const std::vector<InvoiceLine>& lines,
                    const std::vector<Charge>& charges, Amount total) {
  pb::Invoice out;
  out.set_name(fmt::format("{}/invoices/{}", account.tenant_name, period.name));
  out.set_state(pb::Invoice::STATE_DRAFT);
  out.set_kind(pb::Invoice::KIND_INVOICE);
  *out.mutable_start_time() = ToTimestamp(period.start);
  *out.mutable_end_time() = ToTimestamp(period.end);
  for (const InvoiceLine& line : lines) {
    pb::Invoice::Line& row = *out.add_lines();
    row.set_instance(line.instance);
    row.set_variant(line.variant);
    row.set_price_book(PriceBookName(line.price_book));
    row.set_request_count(line.request_count);
    row.set_isolation_class(line.isolation_class);
    row.set_prompt_tokens(line.prompt_tokens);
    row.set_completion_tokens(line.completion_tokens);
    row.mutable_prompt_price_per_million()->set_currency_code(account.currency_code);
    row.mutable_prompt_price_per_million()->set_amount(PerMillion(line.prompt_price));
    row.mutable_completion_price_per_million()->set_currency_code(account.currency_code);
    row.mutable_completion_price_per_million()->set_amount(PerMillion(line.completion_price));
    *row.mutable_amount() = ToProto(line.amount, account.currency_code);
  }
  for (const Charge& charge : charges) {
    pb::Invoice::Line& row = *out.add_lines();
    row.set_instance(charge.instance);
    row.set_variant(charge.variant);
    if (charge.price_book != Uuid()) row.set_price_book(PriceBookName(charge.price_book));
    row.set_isolation_class(charge.isolation_class);
    *row.mutable_amount() = ToProto(charge.exact, account.currency_code);
    Fill(charge.terms, charge.quantity, charge.unit_price, account.currency_code, *row.mutable_charge());
  }
  *out.mutable_total() = ToProto(total, account.currency_code);
  return out;
}

}  // namespace allod::billing
