#include "cli/commands/prove_ledger.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/invoice.grpc.pb.h"
#include "allod/billing/v1/lease.grpc.pb.h"
#include "allod/billing/v1/ledger.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/commands/ledger_verdict.h"
#include "cli/commands/prove_computed.h"
#include "cli/net/pages.h"
#include "services/common/clock.h"
#include "services/common/digest.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kRequests = 60;
constexpr int kSenders = 4;
constexpr int kPromptTokens = 100;
constexpr int kCompletionTokens = 50;
constexpr int kAffordable = 37;
constexpr int kGateways = 4;
constexpr milliseconds kCallTimeout{3000};
constexpr std::chrono::seconds kPatience{30};  // while a service is started again
constexpr int kDocumentsMax = 20;
constexpr int kTenantsMax = 1000;
constexpr int kRecordsMax = 100'000;
constexpr std::int64_t kFileBytesMax = 64 << 20;
constexpr char kVariant[] = "models/allod-prove/versions/v1/variants/none";

// Billing is told so by gateways; an operator of the installation may as well.
const Caller kAsGateway = Caller::Service("prove");

// Of one request that uses all that it may, at the prices of the trial: 1 and 2 for a million tokens.
Amount CostOfOne() { return Amount::FromPico(Int128{1'000'000} * (kPromptTokens + 2 * kCompletionTokens)); }

Amount Times(Amount amount, std::int64_t count) { return Multiply(amount, count).value_or(Amount()); }

bool IsPassing(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kAborted || error.code == Code::kDeadlineExceeded ||
         error.reason == "TOO_MANY_CALLS";
}

// A call that is repeated as it is until it is answered: that is what is proven to be safe.
template <typename Service, typename Req, typename Resp>
Result<Resp> Insist(const net::Services& services,
                    grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
                    const Req& request) {
  const auto end = steady_clock::now() + kPatience;
  while (true) {
    Result<Resp> done = CallUnary(*net::Connect<Service>(services), method, request, kAsGateway, kCallTimeout);
    if (done || !IsPassing(done.error()) || steady_clock::now() > end) return done;
    std::this_thread::sleep_for(milliseconds(20));
  }
}

billing_v1::ReserveRequest ReservationOf(const Trial& trial, const std::string& id, Time start) {
  billing_v1::ReserveRequest request;
  request.set_request_id(id);
  request.set_tenant(trial.tenant);
  request.set_instance(trial.project + "/instances/replays");
  request.set_variant(kVariant);
  request.set_price_book(trial.price_book);
  request.set_prompt_tokens_max(kPromptTokens);
  request.set_completion_tokens_max(kCompletionTokens);
  // The same each time that it is said.
  *request.mutable_expire_time() = ToTimestamp(start + std::chrono::minutes(10));
  return request;
}

billing_v1::SettleRequest SettlementOf(const Trial& trial, const std::string& id) {
  billing_v1::SettleRequest request;
  request.set_request_id(id);
  request.set_tenant(trial.tenant);
  request.set_outcome(billing_v1::OUTCOME_COMPLETED);
  request.set_prompt_tokens(kPromptTokens);
  request.set_completion_tokens(kCompletionTokens);
  return request;
}

// Each id one to five times, shuffled.
std::vector<std::string> Copies(const std::vector<std::string>& ids, std::mt19937& random) {
  std::vector<std::string> out;
  for (const std::string& id : ids) {
    for (std::uint32_t copies = 1 + random() % 5; copies > 0; --copies) out.push_back(id);
  }
  std::ranges::shuffle(out, random);
  return out;
}

// Calls `send` for each, several at once. The first error, if there was one.
Status SendAll(const std::vector<std::string>& ids, const std::function<Status(const std::string&)>& send,
               const std::function<void()>& disturb, const ProofProgress& progress) {
  std::atomic<std::size_t> next = 0;
  std::vector<Status> ends(kSenders);
  std::vector<std::thread> senders;
  for (Status& end : ends) {
    senders.emplace_back([&] {
      for (std::size_t i = next++; i < ids.size() && end; i = next++) end = send(ids[i]);
    });
  }
  bool disturbed = disturb == nullptr;
  while (next < ids.size()) {
    if (!disturbed && 2 * next >= ids.size()) {
      disturb();
      disturbed = true;
    }
    if (std::ranges::any_of(ends, [](const Status& end) { return !end; })) break;
    progress(static_cast<double>(std::min(next.load(), ids.size())) / static_cast<double>(ids.size()));
    std::this_thread::sleep_for(milliseconds(20));
  }
  for (std::thread& sender : senders) sender.join();
  for (const Status& end : ends) ALLOD_CHECK_OK(end);
  return {};
}

Result<billing_v1::BillingAccount> AccountOf(const net::Services& services, const Trial& trial) {
  billing_v1::GetBillingAccountRequest request;
  request.set_name(trial.tenant + "/billingAccount");
  using Accounts = billing_v1::BillingAccountService;
  return net::Ask<Accounts>(services, &Accounts::Stub::GetBillingAccount, request);
}

Result<Amount> PostedOf(const net::Services& services, const Trial& trial) {
  ALLOD_TRY(const auto account, AccountOf(services, trial));
  return Amount::Parse("posted", account.posted().amount());
}

// How many records there are, and what they cost together.
Result<std::pair<int, Amount>> RecordsOf(const net::Services& services, const Trial& trial,
                                         const std::string& instance) {
  billing_v1::ListUsageRecordsRequest request;
  request.set_parent(trial.tenant);
  request.set_instance(instance);
  using Usage = billing_v1::UsageService;
  ALLOD_TRY(const net::Listed listed, net::List<Usage>(services, &Usage::Stub::ListUsageRecords, request, kRecordsMax));
  Amount sum;
  for (const auto& one : listed.items) {
    const auto& record = dynamic_cast<const billing_v1::UsageRecord&>(*one);
    ALLOD_TRY(const Amount cost, Amount::Parse("cost", record.cost().amount()));
    ALLOD_TRY(sum, Add(sum, cost));
  }
  return std::pair(static_cast<int>(listed.items.size()), sum);
}

struct Admissions {
  int admitted = 0;
  std::vector<std::string> settled;
  Status end;
};

// Takes money for one request after the other, and settles each, until there is none.
Admissions AdmitAll(const net::Services& services, const Trial& trial) {
  using Leases = billing_v1::LeaseService;
  Admissions out;
  const std::string cost = CostOfOne().ToString();
  billing_v1::AdjustLeaseRequest ask;
  ask.set_lease_id(Uuid::V7().ToString());
  ask.set_tenant(trial.tenant);
  ask.set_gateway_id(Uuid::V7().ToString());
  for (int epoch = 1; epoch <= kAffordable + 2; ++epoch) {
    ask.set_epoch(epoch);
    ask.set_need(cost);
    ask.set_want(cost);
    *ask.mutable_send_time() = ToTimestamp(std::chrono::system_clock::now());
    const auto added = Insist<Leases>(services, &Leases::Stub::AdjustLease, ask);
    if (!added) {
      if (added.error().reason != "INSUFFICIENT_FUNDS") out.end = std::unexpected(added.error());
      break;
    }
    ++out.admitted;
    billing_v1::SettleBatchRequest batch;
    batch.set_tenant(trial.tenant);
    auto& usage = *batch.add_usage();
    usage.set_request_id(Uuid::V7().ToString());
    usage.set_lease_id(ask.lease_id());
    usage.set_instance(trial.project + "/instances/overspend");
    usage.mutable_terms()->set_price_book(trial.price_book);
    usage.mutable_terms()->set_variant(kVariant);
    usage.set_prompt_tokens_max(kPromptTokens);
    usage.set_completion_tokens_max(kCompletionTokens);
    usage.set_outcome(billing_v1::OUTCOME_COMPLETED);
    usage.set_prompt_tokens(kPromptTokens);
    usage.set_completion_tokens(kCompletionTokens);
    const auto settled = Insist<Leases>(services, &Leases::Stub::SettleBatch, batch);
    if (!settled) {
      out.end = std::unexpected(settled.error());
      break;
    }
    if (!settled->results(0).reason().empty()) {
      out.end = Internal(settled->results(0).reason() + ": " + settled->results(0).message());
      break;
    }
    out.settled.push_back(usage.request_id());
  }
  // An epoch that was refused was not taken.
  ask.set_epoch(out.admitted + 1);
  ask.clear_need();
  ask.clear_want();
  ask.set_end(true);
  if (out.admitted > 0) (void)Insist<Leases>(services, &Leases::Stub::AdjustLease, ask);
  return out;
}

Result<std::string> FileOf(const net::Services& services, const std::string& invoice,
                           billing_v1::DocumentFormat format) {
  using Invoices = billing_v1::InvoiceService;
  std::string content;
  while (true) {
    billing_v1::GetInvoiceDocumentRequest request;
    request.set_name(invoice);
    request.set_format(format);
    request.set_offset(static_cast<std::int64_t>(content.size()));
    ALLOD_TRY(const auto slice, net::Ask<Invoices>(services, &Invoices::Stub::GetInvoiceDocument, request));
    content += slice.content();
    if (slice.content().empty() || static_cast<std::int64_t>(content.size()) >= slice.size_bytes()) {
      if (Sha256Hex(content) != slice.sha256()) return Internal(invoice + ": the file is not that of its SHA-256");
      return content;
    }
    if (slice.size_bytes() > kFileBytesMax) return Internal(invoice + ": the file is too long to be compared");
  }
}

Result<std::vector<std::string>> IssuedInvoices(const net::Services& services) {
  using Tenants = tenancy::v1::TenantService;
  using Invoices = billing_v1::InvoiceService;
  ALLOD_TRY(const net::Listed tenants,
            net::List<Tenants>(services, &Tenants::Stub::ListTenants, tenancy::v1::ListTenantsRequest(), kTenantsMax));
  std::vector<std::string> out;
  for (const auto& tenant : tenants.items) {
    billing_v1::ListInvoicesRequest request;
    request.set_parent(dynamic_cast<const tenancy::v1::Tenant&>(*tenant).name());
    const auto invoices = net::List<Invoices>(services, &Invoices::Stub::ListInvoices, request, 2);
    if (!invoices) continue;  // has no account
    for (const auto& one : invoices->items) {
      const auto& invoice = dynamic_cast<const billing_v1::Invoice&>(*one);
      if (invoice.state() == billing_v1::Invoice::STATE_ISSUED) out.push_back(invoice.name());
    }
    if (out.size() >= kDocumentsMax) break;
  }
  return out;
}

}  // namespace

Proof ProveReplays(const net::Services& services, const Trial& trial, const std::function<void()>& disturb,
                   const ProofProgress& progress) {
  const std::string what = disturb ? "requests sent 1 to 5 times, billing killed meanwhile"
                                   : "requests sent 1 to 5 times, out of order, at once";
  const std::string figure = "each counted once, exact";
  std::mt19937 random(std::random_device{}());
  std::vector<std::string> ids;
  for (int i = 0; i < kRequests; ++i) ids.push_back(Uuid::V7().ToString());
  const Time start = std::chrono::time_point_cast<Time::duration>(std::chrono::system_clock::now());
  using Usage = billing_v1::UsageService;
  const auto reserve = [&](const std::string& id) -> Status {
    ALLOD_CHECK_OK(Insist<Usage>(services, &Usage::Stub::Reserve, ReservationOf(trial, id, start)));
    return {};
  };
  const auto settle = [&](const std::string& id) -> Status {
    ALLOD_CHECK_OK(Insist<Usage>(services, &Usage::Stub::Settle, SettlementOf(trial, id)));
    return {};
  };
  const auto run = [&]() -> Result<Proof> {
    const std::string instance = trial.project + "/instances/replays";
    ALLOD_TRY(const auto before, RecordsOf(services, trial, instance));
    ALLOD_TRY(const Amount posted_before, PostedOf(services, trial));
    const std::vector<std::string> reservations = Copies(ids, random);
    const std::vector<std::string> settlements = Copies(ids, random);
    ALLOD_CHECK_OK(SendAll(reservations, reserve, nullptr, [&](double part) { progress(part / 2); }));
    ALLOD_CHECK_OK(SendAll(settlements, settle, disturb, [&](double part) { progress(0.5 + part / 2); }));
    ALLOD_CHECK_OK(TellComputed(services, trial, {instance, ids, kPromptTokens, kCompletionTokens}));
    ALLOD_TRY(const auto after, RecordsOf(services, trial, instance));
    ALLOD_TRY(const Amount posted, PostedOf(services, trial));
    const int count = after.first - before.first;
    const Amount expected = Times(CostOfOne(), kRequests);
    const bool holds = count == kRequests && Subtract(after.second, before.second).value_or(Amount()) == expected &&
                       Subtract(posted, posted_before).value_or(Amount()) == expected;
    return Proven(what, figure, holds,
                  fmt::format("{} sendings of {} requests: {} records, {} {} owed of {}",
                              reservations.size() + settlements.size(), kRequests, count,
                              Subtract(posted, posted_before).value_or(Amount()).ToString(), trial.currency,
                              expected.ToString()));
  };
  const Result<Proof> done = run();
  return done ? *done : Failed(what, figure, done.error());
}

Proof ProveNoOverspend(const net::Services& services, const Trial& trial, const ProofProgress& progress) {
  const std::string what = fmt::format("{} gateways at once, credit for {} requests", kGateways, kAffordable);
  const std::string figure = fmt::format("{} admitted, none more", kAffordable);
  const auto run = [&]() -> Result<Proof> {
    ALLOD_TRY(const Amount posted, PostedOf(services, trial));
    ALLOD_TRY(const Amount limit, Add(posted, Times(CostOfOne(), kAffordable)));
    ALLOD_CHECK_OK(SetTrialLimit(services, trial, limit.ToString()));
    progress(0.1);
    std::vector<Admissions> ends(kGateways);
    std::vector<std::thread> gateways;
    for (Admissions& end : ends) gateways.emplace_back([&] { end = AdmitAll(services, trial); });
    for (std::thread& gateway : gateways) gateway.join();
    int admitted = 0;
    const std::string instance = trial.project + "/instances/overspend";
    for (const Admissions& end : ends) {
      ALLOD_CHECK_OK(end.end);
      admitted += end.admitted;
      ALLOD_CHECK_OK(TellComputed(services, trial, {instance, end.settled, kPromptTokens, kCompletionTokens}));
    }
    ALLOD_TRY(const Amount owed, PostedOf(services, trial));
    return Proven(what, figure, admitted == kAffordable && owed == limit,
                  fmt::format("{} admitted, {} {} owed of a limit of {}", admitted, owed.ToString(), trial.currency,
                              limit.ToString()));
  };
  const Result<Proof> done = run();
  return done ? *done : Failed(what, figure, done.error());
}

Proof ProveNothingHeld(const net::Services& services, const Trial& trial) {
  const std::string what = "holds and leases of these requests";
  const std::string figure = "none left";
  const auto account = AccountOf(services, trial);
  if (!account) return Failed(what, figure, account.error());
  const Result<Amount> held = Amount::Parse("held", account->held().amount());
  if (!held) return Failed(what, figure, held.error());
  return Proven(what, figure, *held == Amount(), fmt::format("{} {} held", held->ToString(), trial.currency));
}

Proof ProveDraft(const net::Services& services, const Trial& trial) {
  const std::string what = "draft of this month against its records";
  const std::string figure = "equal to the last digit";
  const auto run = [&]() -> Result<Proof> {
    ALLOD_TRY(const auto records, RecordsOf(services, trial, ""));
    billing_v1::GetInvoiceRequest request;
    request.set_name(trial.tenant + "/invoices/current");
    using Invoices = billing_v1::InvoiceService;
    ALLOD_TRY(const auto draft, net::Ask<Invoices>(services, &Invoices::Stub::GetInvoice, request));
    ALLOD_TRY(const Amount total, Amount::Parse("total", draft.total().amount()));
    return Proven(what, figure, total == records.second,
                  fmt::format("{} records of {}, draft of {} {}", records.first, records.second.ToString(),
                              total.ToString(), trial.currency));
  };
  const Result<Proof> done = run();
  return done ? *done : Failed(what, figure, done.error());
}

Proof ProveLedger(const net::Services& services) {
  const std::string what = "books of the whole installation";
  const std::string figure = "every currency sums to 0; billed <= computed";
  using google::protobuf::util::TimeUtil;
  billing_v1::CheckLedgerRequest request;
  const std::int64_t now = TimeUtil::TimestampToSeconds(TimeUtil::GetCurrentTime());
  *request.mutable_usage()->mutable_start_time() = TimeUtil::SecondsToTimestamp(now - 3600);
  *request.mutable_usage()->mutable_end_time() = TimeUtil::SecondsToTimestamp(now + 300);
  using Ledger = billing_v1::LedgerService;
  const auto check = net::Ask<Ledger>(services, &Ledger::Stub::CheckLedger, request, std::chrono::minutes(5));
  if (!check) return Failed(what, figure, check.error());
  const LedgerVerdict verdict = JudgeLedger(*check);
  return Proven(what, figure, verdict.status.has_value(),
                fmt::format("{} transfers, {} records: {}{}", check->transfer_count(), check->usage_record_count(),
                            verdict.words, verdict.status ? "" : "; `allod ledger` says more"));
}

Proof ProveDocuments(const net::Services& services, const ProofProgress& progress) {
  const std::string what = "files of issued invoices, made twice";
  const std::string figure = "the same bytes";
  const auto run = [&]() -> Result<Proof> {
    ALLOD_TRY(const std::vector<std::string> invoices, IssuedInvoices(services));
    if (invoices.empty()) return Skipped(what, figure, "no invoice is issued in this installation yet");
    int files = 0;
    std::size_t done = 0;
    for (const std::string& invoice : invoices) {
      progress(static_cast<double>(done++) / static_cast<double>(invoices.size()));
      for (const auto format : {billing_v1::DOCUMENT_FORMAT_CSV, billing_v1::DOCUMENT_FORMAT_FOCUS,
                                billing_v1::DOCUMENT_FORMAT_UBL, billing_v1::DOCUMENT_FORMAT_HTML}) {
        const auto first = FileOf(services, invoice, format);
        if (!first && first.error().code == Code::kFailedPrecondition) continue;  // this form cannot say it
        if (!first) return std::unexpected(first.error());
        ALLOD_TRY(const std::string second, FileOf(services, invoice, format));
        if (*first != second) return Proven(what, figure, false, invoice + " came out otherwise the second time");
        ++files;
      }
    }
    return Proven(what, figure, true, fmt::format("{} files of {} invoices", files, invoices.size()));
  };
  const Result<Proof> done = run();
  return done ? *done : Failed(what, figure, done.error());
}

}  // namespace allod::cli::commands
