#include "services/billing/terms/pg_terms_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/pg_account.h"
#include "services/billing/terms/pg_terms.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::terms {
namespace {

constexpr std::string_view kLastInvoiced =
    "SELECT billing.to_micros(i.month::timestamp AT TIME ZONE 'UTC') FROM billing.invoices i "
    "WHERE i.tenant_id = $1::uuid AND i.kind = 'invoice' ORDER BY i.month DESC LIMIT 1";
constexpr std::string_view kByRequest =
    "SELECT version, payload_sha256 FROM billing.price_terms WHERE tenant_id = $1::uuid AND request_id = $2::uuid";
constexpr std::string_view kInsert =
    "INSERT INTO billing.price_terms (tenant_id, version, start_month, content, commitment_months, note, request_id, "
    "payload_sha256, create_time) VALUES ($1::uuid, $2, (billing.from_micros($3) AT TIME ZONE 'UTC')::date, $4::jsonb, "
    "$5, $6, $7::uuid, $8, billing.from_micros($9))";

// The version to be written, or nothing, and the latest.
struct Decided {
  std::optional<Terms> made;
  std::optional<Terms> latest;
};

// Finalising and setting exclude each other by the lock on the account, so that no month is invoiced on terms that are
// being replaced.
Result<Decided> Decide(TenantTx& tx, const Terms& wanted, Time now) {
  SetState state;
  if (const auto account = LockAccount(tx)) {
    state.account = BillingAccount{
        .tenant = wanted.tenant, .tenant_name = account->tenant_name, .currency_code = account->currency_code};
  }
  std::vector<Terms> versions = ReadTermsIn(tx, wanted.tenant);
  if (!versions.empty()) state.latest = std::move(versions.back());
  if (const auto last = tx.Exec(kLastInvoiced, wanted.tenant); !last.empty()) {
    state.last_invoiced = RowReader(last[0]).Next<Time>();
  }
  ALLOD_TRY(std::optional<Terms> made, DecideSet(state, wanted, now));
  return Decided{std::move(made), std::move(state.latest)};
}

Result<Terms> FindVersion(TenantTx& tx, TenantId tenant, std::int32_t version) {
  for (Terms& terms : ReadTermsIn(tx, tenant)) {
    if (terms.version == version) return std::move(terms);
  }
  return NotFound(fmt::format("the tenant's price terms have no version {}", version));
}

}  // namespace

Result<Terms> PgTermsStore::Set(const Terms& terms, const RequestId& request, Time now) {
  // In doubt it is done again, and finds what it made.
  return pool_.Run<Terms>(
      terms.tenant,
      [&](TenantTx& tx) -> Result<Terms> {
        LockAccount(tx);
        if (request.given()) {
          const auto repeated = tx.Exec(kByRequest, terms.tenant, request.id);
          if (!repeated.empty()) {
            ALLOD_CHECK_OK(CheckSamePayload(request, repeated[0][1].as<std::string>()));
            return FindVersion(tx, terms.tenant, repeated[0][0].as<std::int32_t>());
          }
        }
        ALLOD_TRY(Decided decided, Decide(tx, terms, now));
        if (!decided.made) return *std::move(decided.latest);
        const Terms& made = *decided.made;
        tx.Exec(kInsert, made.tenant, made.version, made.start_month, ContentOf(made),
                made.commitment ? made.commitment->months : 0, made.note,
                request.given() ? std::optional(request.id) : std::nullopt, request.payload_sha256, made.create_time);
        ALLOD_CHECK_OK(
            audit_.Append(tx, made.tenant_name,
                          audit::Act{.action = "billing.priceTerms.set",
                                     .resource = fmt::format("{}/priceTerms/{}", made.tenant_name, made.version),
                                     .details = {{"start_period", PeriodOf(made.start_month).name},
                                                 {"terms", ContentOf(made).substr(0, 1000)}}}));
        return made;
      },
      RunAgain{});
}

Result<Terms> PgTermsStore::Preview(const Terms& terms, Time now) {
  return pool_.Run<Terms>(terms.tenant, [&](TenantTx& tx) -> Result<Terms> {
    ALLOD_TRY(Decided decided, Decide(tx, terms, now));
    return decided.made ? *std::move(decided.made) : *std::move(decided.latest);
  });
}

Result<Terms> PgTermsStore::Get(TenantId tenant, std::optional<std::int32_t> version, Time month) {
  return pool_.Run<Terms>(tenant, [&](TenantTx& tx) -> Result<Terms> {
    if (version) return FindVersion(tx, tenant, *version);
    const std::vector<Terms> versions = ReadTermsIn(tx, tenant);
    if (const Terms* found = TermsOf(versions, month)) return *found;
    return NotFound("the tenant has no price terms; the prices of price books count as they are");
  });
}

Result<std::vector<Terms>> PgTermsStore::List(TenantId tenant, std::int32_t before, int limit) {
  return pool_.Run<std::vector<Terms>>(tenant, [&](TenantTx& tx) -> Result<std::vector<Terms>> {
    std::vector<Terms> out = ReadTermsIn(tx, tenant);
    if (before > 0) std::erase_if(out, [&](const Terms& terms) { return terms.version >= before; });
    std::ranges::reverse(out);
    if (out.size() > static_cast<std::size_t>(limit)) out.resize(static_cast<std::size_t>(limit));
    return out;
  });
}

}  // namespace allod::billing::terms
