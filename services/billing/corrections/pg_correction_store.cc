#include "services/billing/corrections/pg_correction_store.h"

#include <fmt/format.h>

#include <set>

#include "services/billing/pg_store_charges.h"
#include "services/billing/pg_store_issued.h"
#include "services/billing/pg_store_prices.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/terms/pg_terms.h"

namespace allod::billing::corrections {
namespace {

constexpr std::string_view kByRequest =
    "SELECT c.invoice_id, c.credit_note_id, c.payload_sha256 FROM billing.corrections c "
    "WHERE c.tenant_id = $1::uuid AND c.request_id = $2::uuid LIMIT 1";
constexpr std::string_view kSubjects =
    "SELECT c.subject FROM billing.corrections c WHERE c.tenant_id = $1::uuid AND c.invoice_id = $2 AND c.kind = $3";
constexpr std::string_view kInsert =
    "INSERT INTO billing.corrections (tenant_id, invoice_id, kind, subject, credit_note_id, reason, request_id, "
    "payload_sha256, create_time) VALUES ($1::uuid, $2, $3, $4, $5, $6, $7::uuid, $8, billing.from_micros($9))";
constexpr std::string_view kInsertCharge =
    "INSERT INTO billing.charges (tenant_id, id, month, kind, instance, variant, isolation_class, detail, quantity, "
    "unit, "
    "per, unit_price, exact, request_id, payload_sha256, create_time) VALUES ($1::uuid, $2::uuid, "
    "(billing.from_micros($3) AT TIME ZONE 'UTC')::date, $4, $5, $6, $7, $8, $9, $10, $11, $12::numeric, $13::numeric, "
    "$2::uuid, $14, billing.from_micros($15))";
constexpr std::string_view kChargesOf =
    "SELECT c.id, billing.to_micros(c.month::timestamp AT TIME ZONE 'UTC'), c.kind, c.instance, c.variant, "
    "c.isolation_class, c.detail, c.quantity, c.unit, c.per, c.unit_price, c.exact "
    "FROM billing.charges c, unnest($2::uuid[]) WITH ORDINALITY AS w (id, number) "
    "WHERE c.tenant_id = $1::uuid AND c.id = w.id ORDER BY w.number";
// All that are recorded of the month, by the time in their ids: a range of (tenant, id).
constexpr std::string_view kRequests =
    "SELECT u.instance, count(*), count(*) FILTER (WHERE u.outcome = 'fault') FROM billing.usage_records u "
    "WHERE u.tenant_id = $1::uuid AND u.request_id >= $2::uuid AND u.request_id < $3::uuid GROUP BY u.instance";

constexpr std::string_view kRerating = "rerating";
constexpr std::string_view kServiceLevel = "service_level";

struct Repeated {
  std::string invoice;
  std::optional<std::string> credit_note;
};
Result<std::optional<Repeated>> FindRepeated(TenantTx& tx, TenantId tenant, const RequestId& request) {
  const auto rows = tx.Exec(kByRequest, tenant, request.id);
  if (rows.empty()) return std::nullopt;
  Repeated out;
  std::string payload;
  RowReader(rows[0]).Into(out.invoice, out.credit_note, payload);
  ALLOD_CHECK_OK(CheckSamePayload(request, payload));
  return std::optional(std::move(out));
}

std::set<std::string> SubjectsOf(TenantTx& tx, const IssuedInvoice& invoice, std::string_view kind) {
  std::set<std::string> out;
  for (const auto& row : tx.Exec(kSubjects, invoice.tenant, invoice.id, kind)) out.insert(row[0].as<std::string>());
  return out;
}

// The credit note of some lines, written unless it is only to be seen.
Result<IssuedInvoice> CreditNote(TenantTx& tx, const audit::PgLog& log, const CreditState& state,
                                 std::vector<CreditCommand::Line> lines, const std::string& reason,
                                 const RequestId& request, Time now, bool is_dry) {
  const CreditCommand command{state.invoice.tenant, state.invoice.period, std::move(lines), reason, request};
  ALLOD_TRY(IssuedInvoice made, DecideCredit(state, command, now));
  if (is_dry) return made;
  return WriteIssuedIn(tx, log, std::move(made), now);
}

// One for each line, whoever repeats it.
Uuid IdOf(const RequestId& request, const std::string& detail) {
  return Uuid::FromName(fmt::format("{} {}", request.id.ToString(), detail));
}

// What the request left to be charged.
std::vector<Charge> ReadChargesOf(TenantTx& tx, const IssuedInvoice& invoice, const RequestId& request) {
  std::vector<std::string> ids;
  for (const IssuedLine& line : invoice.lines) {
    ids.push_back(IdOf(request, fmt::format("{} {}", invoice.number, line.number)).ToString());
  }
  return ReadAll(tx.Exec(kChargesOf, invoice.tenant, ids), [](RowReader& row) {
    Charge out;
    row.Into(out.terms.id, out.month, out.terms.kind, out.instance, out.variant, out.isolation_class, out.terms.detail,
             out.quantity, out.terms.unit, out.terms.per, out.unit_price, out.exact);
    return out;
  });
}

void Record(TenantTx& tx, const IssuedInvoice& invoice, std::string_view kind, const std::string& subject,
            const std::optional<IssuedInvoice>& note, const std::string& reason, const RequestId& request, Time now) {
  tx.Exec(kInsert, invoice.tenant, invoice.id, kind, subject, note ? std::optional(note->id) : std::nullopt, reason,
          request.id, request.payload_sha256, now);
}

}  // namespace

Result<Rerating> PgCorrectionStore::Rerate(const RerateCommand& command, Time now, bool is_dry) {
  // In doubt it is done again, and finds what it made.
  return pool_.Run<Rerating>(
      command.tenant,
      [&](TenantTx& tx) -> Result<Rerating> {
        LockAccount(tx);
        ALLOD_TRY(const auto repeated, FindRepeated(tx, command.tenant, command.request));
        Rerating out;
        if (repeated) {
          ALLOD_TRY(const IssuedInvoice invoice, ReadIssuedIn(tx, command.tenant, repeated->invoice));
          out.currency_code = invoice.currency_code;
          out.charges = ReadChargesOf(tx, invoice, command.request);
          if (repeated->credit_note) {
            ALLOD_TRY(out.credit_note, ReadIssuedIn(tx, command.tenant, *repeated->credit_note));
          }
          return out;
        }
        ALLOD_TRY(const CreditState state, ReadCreditStateIn(tx, command.tenant, command.period.name));
        if (SubjectsOf(tx, state.invoice, kRerating).contains(command.old_book.ToString())) {
          return FailedPrecondition("ALREADY_RERATED",
                                    fmt::format("priceBooks/{} of invoice {} was re-rated before; credit what is still "
                                                "wrong by hand",
                                                command.old_book.ToString(), state.invoice.id));
        }
        ALLOD_TRY(const std::vector<TokenPrice> prices, ReadPricesIn(tx, command.new_book));
        ALLOD_TRY(Plan plan, DecideRerate(state, command, prices, ParsePeriod("current", now)->start));
        out.currency_code = state.invoice.currency_code;
        out.lines = std::move(plan.lines);
        out.charges = std::move(plan.charges);
        if (!plan.credits.empty()) {
          ALLOD_TRY(out.credit_note, CreditNote(tx, audit_, state, std::move(plan.credits), command.reason,
                                                command.request, now, is_dry));
        }
        if (is_dry) return out;
        for (Charge& charge : out.charges) {
          charge.terms.id = IdOf(command.request, charge.terms.detail);
          tx.Exec(kInsertCharge, command.tenant, charge.terms.id, charge.month, charge.terms.kind, charge.instance,
                  charge.variant, charge.isolation_class, charge.terms.detail, charge.quantity, charge.terms.unit,
                  charge.terms.per, charge.unit_price, charge.exact, command.request.payload_sha256, now);
        }
        Record(tx, state.invoice, kRerating, command.old_book.ToString(), out.credit_note, command.reason,
               command.request, now);
        ALLOD_CHECK_OK(audit_.Append(
            tx, state.invoice.tenant_name,
            audit::Act{.action = "billing.invoices.rerate",
                       .resource = fmt::format("{}/invoices/{}", state.invoice.tenant_name, state.invoice.id),
                       .details = {{"old_price_book", "priceBooks/" + command.old_book.ToString()},
                                   {"new_price_book", "priceBooks/" + command.new_book.ToString()},
                                   {"reason", command.reason}}}));
        return out;
      },
      RunAgain{});
}

Result<ServiceLevelOutcome> PgCorrectionStore::CreditServiceLevel(const ServiceLevelCommand& command, Time now,
                                                                  bool is_dry) {
  return pool_.Run<ServiceLevelOutcome>(
      command.tenant,
      [&](TenantTx& tx) -> Result<ServiceLevelOutcome> {
        AllowMinutes(tx);
        // Before the lock: it reads all that was recorded of the month, and the tenant's requests go on meanwhile.
        std::vector<InstanceRequests> counted =
            ReadAll(tx.Exec(kRequests, command.tenant, FirstRequestIdAt(command.period.start).ToString(),
                            FirstRequestIdAt(command.period.end).ToString()),
                    [](RowReader& row) {
                      InstanceRequests of;
                      row.Into(of.instance, of.requests, of.faults);
                      return of;
                    });
        if (!is_dry) LockAccount(tx);
        ALLOD_TRY(const auto repeated, FindRepeated(tx, command.tenant, command.request));
        ServiceLevelOutcome out;
        if (repeated) {
          ALLOD_TRY(out.credit_note, ReadIssuedIn(tx, command.tenant, repeated->credit_note.value_or("")));
          return out;
        }
        ALLOD_TRY(const CreditState state, ReadCreditStateIn(tx, command.tenant, command.period.name));
        const std::vector<terms::Terms> versions = terms::ReadTermsIn(tx, command.tenant);
        const terms::Terms* agreed = terms::TermsOf(versions, command.period.start);
        if (agreed == nullptr || agreed->service_level.empty()) {
          return FailedPrecondition("NO_SERVICE_LEVEL",
                                    fmt::format("the price terms of {} promise no service level", command.period.name));
        }
        const std::set<std::string> credited = SubjectsOf(tx, state.invoice, kServiceLevel);
        std::erase_if(counted, [&](const InstanceRequests& of) { return credited.contains(of.instance); });
        ALLOD_TRY(out.credits, DecideServiceLevel(state, agreed->service_level, counted));
        std::vector<CreditCommand::Line> lines;
        for (const ServiceLevelCredit& credit : out.credits) {
          lines.insert(lines.end(), credit.lines.begin(), credit.lines.end());
        }
        if (lines.empty()) {
          return FailedPrecondition(
              "NOTHING_TO_CREDIT",
              fmt::format("the service level of {} was kept, or what was not is credited", command.period.name));
        }
        const std::string reason = ReasonOf(out.credits);
        ALLOD_TRY(out.credit_note,
                  CreditNote(tx, audit_, state, std::move(lines), reason, command.request, now, is_dry));
        if (is_dry) return out;
        for (const ServiceLevelCredit& credit : out.credits) {
          Record(tx, state.invoice, kServiceLevel, credit.of.instance, out.credit_note, reason, command.request, now);
        }
        return out;
      },
      RunAgain{});
}

}  // namespace allod::billing::corrections
