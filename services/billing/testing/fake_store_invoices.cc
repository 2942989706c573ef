// Invoices of the store in memory.
#include <fmt/format.h>

#include <algorithm>

#include "services/billing/charge_lines.h"
#include "services/billing/refusals.h"
#include "services/billing/testing/fake_store.h"

namespace allod::billing {
namespace {

Time MonthOf(Time time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  return std::chrono::sys_days(day.year() / day.month() / 1);
}

// Whether the line bills the charge.
bool Bills(const Charge& charge, const IssuedLine& line) {
  return line.charge == charge.terms && line.month == charge.month && line.instance == charge.instance &&
         line.variant == charge.variant && line.isolation_class == charge.isolation_class &&
         line.price_book == charge.price_book;
}

bool IsOpen(const OpenUsage& usage) {
  return usage.totals.prompt_tokens > usage.prompt_tokens_invoiced ||
         usage.totals.completion_tokens > usage.completion_tokens_invoiced;
}

}  // namespace

std::map<FakeStore::TotalsKey, OpenUsage> FakeStore::Totals(const Books& books) {
  std::map<TotalsKey, OpenUsage> out = books.invoiced;
  for (const auto& [id, record] : books.usage) {
    if (!record.billed) continue;
    const Time month = MonthOf(record.admit_time);
    OpenUsage& usage = out[{month, record.instance, record.variant, record.price_book, record.isolation_class}];
    usage.month = month;
    InvoiceLine& totals = usage.totals;
    totals.instance = record.instance;
    totals.variant = record.variant;
    totals.price_book = record.price_book;
    totals.isolation_class = record.isolation_class;
    totals.prompt_price = record.prompt_price;
    totals.completion_price = record.completion_price;
    totals.prompt_tokens += record.prompt_tokens - record.excess_prompt_tokens;
    totals.completion_tokens += record.completion_tokens - record.excess_completion_tokens;
    ++totals.request_count;
  }
  return out;
}

bool FakeStore::IsOfLine(const Books& books, const UsageRecord& record, const IssuedLine& line) {
  if (!record.billed || MonthOf(record.admit_time) != line.month || record.instance != line.instance ||
      record.variant != line.variant || record.price_book != line.price_book ||
      record.isolation_class != line.isolation_class) {
    return false;
  }
  const auto found = books.epochs.find(record.request_id);
  const std::int32_t epoch = found == books.epochs.end() ? books.invoice_epoch : found->second;
  return epoch >= line.first_epoch && epoch <= line.last_epoch;
}

Result<std::vector<Charge>> FakeStore::OpenCharges(const MonthQuery& query) {
  const std::lock_guard lock(mutex_);
  std::vector<Charge> out;
  const auto at = books_.find(query.tenant);
  if (at == books_.end()) return out;
  for (const Charge& charge : at->second.charges) {
    if (charge.month == query.month && IsOf(query.project, charge.instance) && out.size() < query.limit) {
      out.push_back(charge);
    }
  }
  return out;
}

void FakeStore::AddOpenCharge(TenantId tenant, Charge charge) {
  const std::lock_guard lock(mutex_);
  Books& books = books_.at(tenant);
  if (IsOwedAlready(charge.terms)) Move(books, kReceivable, kUsageRevenue, charge.exact);
  books.charges.push_back(std::move(charge));
}

Result<LegalEntity> FakeStore::SetLegalEntity(const LegalEntity& entity, Time) {
  const std::lock_guard lock(mutex_);
  const auto at = legal_entities_.find(entity.id);
  for (const auto& [id, other] : legal_entities_) ALLOD_CHECK_OK(CheckPrefixIsFree(other, entity));
  if (at != legal_entities_.end()) ALLOD_CHECK_OK(CheckSamePrefixes(at->second, entity));
  legal_entities_[entity.id] = entity;
  return entity;
}

Result<LegalEntity> FakeStore::GetLegalEntity(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto at = legal_entities_.find(id);
  if (at == legal_entities_.end()) return NotFound("no such legal entity");
  return at->second;
}

Result<std::vector<LegalEntity>> FakeStore::ListLegalEntities(const std::string& after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<LegalEntity> out;
  for (auto at = legal_entities_.upper_bound(after); at != legal_entities_.end(); ++at) {
    if (static_cast<int>(out.size()) < limit) out.push_back(at->second);
  }
  return out;
}

Result<BillingProfile> FakeStore::SetBillingProfile(const BillingProfile& profile, Time) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(profile.tenant);
  if (at == books_.end()) return NoBillingAccount();
  if (!legal_entities_.contains(profile.legal_entity)) return std::unexpected(NoLegalEntity(profile.legal_entity));
  at->second.profile = profile;
  at->second.profile->tenant_name = at->second.tenant_name;
  return *at->second.profile;
}

Result<BillingProfile> FakeStore::GetBillingProfile(TenantId tenant) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  if (at == books_.end() || !at->second.profile) return NotFound("no billing profile");
  return *at->second.profile;
}

IssuedInvoice FakeStore::Issue(Books& books, IssuedInvoice doc) {
  auto& [last, last_time] = numbers_[{doc.legal_entity, doc.kind}];
  doc.sequence = ++last;
  last_time = std::max(last_time, doc.issue_time);
  doc.due_time += last_time - doc.issue_time;
  doc.issue_time = last_time;
  const LegalEntity& entity = legal_entities_.at(doc.legal_entity);
  const bool is_invoice = doc.kind == IssuedInvoice::Kind::kInvoice;
  doc.number = fmt::format("{}{:06}", is_invoice ? entity.invoice_prefix : entity.credit_note_prefix, doc.sequence);
  const auto book = [&](std::string_view debit, std::string_view credit, Amount amount) {
    if (amount != Amount()) Move(books, debit, credit, amount);
  };
  if (is_invoice) {
    const Amount residue = doc.residue;
    if (residue > Amount()) book(kRounding, kReceivable, residue);
    if (residue < Amount()) book(kReceivable, kRounding, Amount::FromPico(-residue.pico()));
    const ChargeSums sums = SumCharges(doc).value();
    book(kReceivable, kUsageRevenue, sums.charge);
    book(kUsageRevenue, kReceivable, sums.discount);
    book(kReceivable, kTaxPayable, doc.tax);
  } else {
    book(kUsageRevenue, kReceivable, doc.net);
    book(kTaxPayable, kReceivable, doc.tax);
  }
  books.issued[doc.id] = doc;
  return doc;
}

Result<IssuedInvoice> FakeStore::FinaliseInvoice(const FinaliseCommand& command, Time now) {
  const std::lock_guard lock(mutex_);
  FinaliseState state;
  const auto at = books_.find(command.tenant);
  if (at == books_.end()) return DecideFinalise(state, command, now);
  Books& books = at->second;
  if (const auto there = books.issued.find(command.period.name); there != books.issued.end()) return there->second;
  state.account = AccountOf(command.tenant, books);
  state.epoch = books.invoice_epoch;
  state.profile = books.profile;
  if (state.profile) state.issuer = legal_entities_.at(state.profile->legal_entity);
  for (const auto& [id, doc] : books.issued) {
    if (doc.kind == IssuedInvoice::Kind::kInvoice) state.last_period = doc.period.start;  // in their order
  }
  for (const auto& [time, id] : books.open) {
    if (id >= FirstRequestIdAt(command.period.end)) continue;
    if (state.open_hold_count++ < kHoldsNamedMax) state.open_holds.push_back(id);
  }
  for (const auto& [key, usage] : Totals(books)) {
    if (IsOpen(usage) && usage.month <= command.period.start) state.usage.push_back(usage);
  }
  for (const Charge& charge : books.charges) {
    if (charge.month <= command.period.start) state.charges.push_back(charge);
  }
  ALLOD_TRY(IssuedInvoice made, DecideFinalise(state, command, now));
  const auto totals = Totals(books);
  for (const IssuedLine& line : made.lines) {
    if (line.charge) {
      std::erase_if(books.charges, [&](const Charge& charge) { return Bills(charge, line); });
      continue;
    }
    const TotalsKey key{line.month, line.instance, line.variant, line.price_book, line.isolation_class};
    OpenUsage& invoiced = books.invoiced[key];
    invoiced.requests_invoiced = totals.at(key).totals.request_count;
    invoiced.next_epoch = line.last_epoch + 1;
    (line.meter == Meter::kPrompt ? invoiced.prompt_tokens_invoiced : invoiced.completion_tokens_invoiced) +=
        line.quantity;
  }
  for (const auto& [id, record] : books.usage) books.epochs.try_emplace(id, books.invoice_epoch);
  ++books.invoice_epoch;
  return Issue(books, std::move(made));
}

Result<IssuedInvoice> FakeStore::CreateCreditNote(const CreditCommand& command, Time now) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(command.tenant);
  if (at == books_.end()) return NotFound("no billing account");
  Books& books = at->second;
  CreditState state;
  for (const auto& [id, doc] : books.issued) {
    if (doc.request.given() && doc.request.id == command.request.id) {
      ALLOD_CHECK_OK(CheckSamePayload(command.request, doc.request.payload_sha256));
      return doc;
    }
    if (doc.corrected_id != command.period.name) continue;
    ++state.credit_notes;
    for (const IssuedLine& line : doc.lines) {
      Amount& credited = state.credited[line.credited_line];
      ALLOD_TRY(credited, Add(credited, line.amount));
    }
  }
  const auto invoice = books.issued.find(command.period.name);
  if (invoice == books.issued.end()) return NotFound("no such invoice");
  state.invoice = invoice->second;
  ALLOD_TRY(IssuedInvoice made, DecideCredit(state, command, now));
  return Issue(books, std::move(made));
}

Result<IssuedInvoice> FakeStore::FindInvoice(TenantId tenant, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto at = books_.find(tenant);
  if (at == books_.end() || !at->second.issued.contains(id)) return NotFound("no such invoice");
  return at->second.issued.at(id);
}

Result<IssuedLine> FakeStore::FindInvoiceLine(TenantId tenant, const std::string& id, std::int32_t number) {
  ALLOD_TRY(const IssuedInvoice doc, FindInvoice(tenant, id));
  const auto line = std::ranges::find(doc.lines, number, &IssuedLine::number);
  if (line == doc.lines.end()) return NotFound("no such line");
  return *line;
}

Result<std::vector<IssuedInvoice>> FakeStore::ListInvoices(TenantId tenant, const std::string& before, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<IssuedInvoice> out;
  const auto at = books_.find(tenant);
  if (at == books_.end()) return out;
  for (auto doc = at->second.issued.rbegin(); doc != at->second.issued.rend(); ++doc) {
    if (!before.empty() && doc->first >= before) continue;
    if (static_cast<int>(out.size()) == limit) break;
    out.push_back(doc->second);
    out.back().lines.clear();
    out.back().taxes.clear();
  }
  return out;
}

Result<std::vector<DuePeriod>> FakeStore::TenantsWithDuePeriods(Time before, std::optional<TenantId> after, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<DuePeriod> out;
  for (auto at = after ? books_.upper_bound(*after) : books_.begin(); at != books_.end(); ++at) {
    const Books& books = at->second;
    if (!books.profile || books.profile->finalise_by_hand || static_cast<int>(out.size()) == limit) continue;
    std::optional<Time> last, own, late;
    for (const auto& [id, doc] : books.issued) {
      if (doc.kind == IssuedInvoice::Kind::kInvoice) last = doc.period.start;
    }
    for (const auto& [key, usage] : Totals(books)) {
      if (!IsOpen(usage) || usage.month >= MonthOf(before)) continue;
      if (last && usage.month <= *last) {
        if (NextMonth(*last) < MonthOf(before)) late = NextMonth(*last);
      } else if (!own) {
        own = usage.month;
      }
    }
    for (const Charge& charge : books.charges) {
      if (charge.exact < Amount() || charge.month >= MonthOf(before)) continue;
      if (last && charge.month <= *last) {
        if (NextMonth(*last) < MonthOf(before)) late = NextMonth(*last);
      } else if (!own || charge.month < *own) {
        own = charge.month;
      }
    }
    if (own || late) out.push_back({at->first, own ? *own : *late});
  }
  return out;
}

}  // namespace allod::billing
