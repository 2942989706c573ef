// What it costs a gateway to admit a request, before it has anything to do with a worker: the key, the limits of key,
// project, tenant and model, a slot of the journal, and the money from a lease. On one thread; a billing of this
// process leases the money and settles what ends, beside it. The last line is JSON.
#include "gateway/access/admission.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <string>
#include <vector>

#include "allod/tenancy/v1/api_key.pb.h"
#include "gateway/access/api_keys.h"
#include "gateway/http/fake_response_writer.h"
#include "gateway/metering/escrow_funds.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold.h"
#include "services/common/api_key_format.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/bench/pool/report.h"
#include "tests/integration/billing_peer.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {
namespace {

using std::chrono::steady_clock;

constexpr char kPepper[] = "the pepper of a benchmark";
constexpr char kInstance[] = "tenants/ke/projects/p/instances/i";
constexpr double kPerSecondMin = 50'000;
constexpr double kP99Max = 50;  // microseconds
constexpr int kRunning = 64;    // requests that have been admitted and have not ended

// A lie would make the figure worth nothing.
void Must(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "bench_admission: " << what << "\n";
  std::exit(1);
}

// All that a request meets until it may run.
class Admitter {
 public:
  explicit Admitter(int keys) {
    auto server = Server::Start({.listen = target_, .threads_max = 8}, {&billing_});
    Must(server.has_value(), "no server");
    server_ = *std::move(server);
    auto journal = gateway::metering::Journal::Open(directory_.path(), 1 << 16, billing::v1::OUTCOME_GATEWAY_LOST);
    Must(journal.has_value(), "no journal");
    journal_ = *std::move(journal);
    funds_.emplace(MakeChannel(target_), journal_->gateway_id(), std::chrono::seconds(5));
    settler_.emplace(*journal_, MakeChannel(target_), std::chrono::seconds(7),
                     gateway::metering::Settler::Events{.settled = [this](const auto& settlement, Amount cost) {
                       const auto& terms = *settlement.terms;
                       funds_->Settle(settlement.entry.tenant, terms.lease_id,
                                      CostOf(terms.prices, terms.bounds).value(), cost);
                     }});
    tenancy::v1::WatchApiKeysResponse message;
    for (int i = 0; i < keys; ++i) {
      const ApiKeyText text = NewApiKey();
      const ApiKeyDigest digest = DigestApiKeySecret(kPepper, text.secret);
      auto& key = *message.add_keys();
      key.set_name("tenants/ke/projects/p/apiKeys/" + text.kid);
      key.set_kid(text.kid);
      key.set_digest(std::string(digest.begin(), digest.end()));
      key.add_scopes(tenancy::v1::ApiKey::SCOPE_INFERENCE);
      if (i % 16 == 0) headers_.push_back("Bearer " + FormatApiKey(text));
    }
    message.set_synced(true);
    keys_.BeginSnapshot();
    keys_.Apply(message);
  }
  ~Admitter() {
    running_.clear();
    settler_->Stop(std::chrono::seconds(10));
    funds_->Stop(std::chrono::seconds(1));
  }

  struct Running {
    gateway::access::Admission::Permit permit;
    std::unique_ptr<gateway::metering::MeteredRequest> metered;
  };

  // Admits one; it runs until kRunning others do.
  gateway::http::Awaitable<void> Admit(std::size_t i, std::vector<double>& microseconds) {
    const auto start = steady_clock::now();
    auto principal = keys_.Authenticate(headers_[i % headers_.size()], client_);
    Must(principal.has_value(), "a key was refused");
    gateway::http::Headers headers;
    auto permit = admission_.Admit(*principal, start, headers);
    Must(permit.has_value(), "a limit refused");
    Must(admission_.AdmitTo(kInstance, *principal, start, *permit, headers).has_value(), "a model's limit refused");
    const Uuid id = Uuid::V7();
    auto metered = gateway::metering::MeteredRequest::Admit(
        *journal_, *settler_, {id, principal->tenant, kInstance, std::chrono::system_clock::now()}, "chat");
    Must(metered.has_value(), "the journal is full");
    Running running{*std::move(permit), std::make_unique<gateway::metering::MeteredRequest>(*std::move(metered))};
    gateway::serving::Hold::Owner owner{id.ToString(), principal->tenant, principal->name, kInstance};
    gateway::serving::Hold hold(*funds_, std::move(owner), *running.metered, out_);
    gateway::serving::HoldTerms terms = terms_;
    const Status held = co_await hold.Make(std::move(terms));
    Must(held.has_value(), held ? "" : held.error().message);
    const std::chrono::duration<double, std::micro> took = steady_clock::now() - start;
    microseconds.push_back(took.count());
    running_.push_back(std::move(running));
    if (running_.size() > kRunning) {
      running_.front().metered->Finish(billing::v1::OUTCOME_COMPLETED);
      running_.pop_front();
    }
  }

  // What has ended is settled.
  void Settle() const {
    while (settler_->pending() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  int adjust_calls() const { return billing_.adjust_calls; }
  int conflicts() const { return billing_.conflicts; }

 private:
  static gateway::access::AdmissionLimits NoLimits() {
    const gateway::access::RateLimits most{
        .requests_per_minute = 60'000'000, .tokens_per_minute = 60'000'000'000, .concurrency = 100'000};
    return {.key = most, .tenant = most};
  }

  TempDir directory_;
  const std::string target_ = "unix:" + (directory_ / "billing.sock").string();
  gateway::BillingPeer billing_;
  std::unique_ptr<Server> server_;
  SystemClock clock_;
  gateway::access::KeyUses uses_;
  gateway::access::ApiKeyTable keys_{kPepper, clock_, uses_};
  gateway::access::LimitTable limits_;
  gateway::access::Admission admission_{NoLimits(), limits_, std::nullopt};
  std::vector<std::string> headers_;  // of some of the keys
  const std::optional<IpAddress> client_ = IpAddress::Parse("192.0.2.1");
  std::unique_ptr<gateway::metering::Journal> journal_;
  std::optional<gateway::metering::EscrowFunds> funds_;
  std::optional<gateway::metering::Settler> settler_;
  gateway::http::FakeResponseWriter out_;
  const gateway::serving::HoldTerms terms_{
      {"models/m/versions/v1/variants/q4_k_m", "priceBooks/01890000-0000-7000-8000-000000000000", "pooled"},
      {2048, 2048}};
  std::deque<Running> running_;
};

int Bench(int keys, int requests, int rounds) {
  Report report("admission",
                fmt::format("Admitting a request on one thread, of one of {} keys: authenticating it, the limits of "
                            "key, project, tenant and model, a slot of the journal and its terms, and the money from "
                            "a lease; {} rounds of {} requests, which are settled between the rounds. The rate is that "
                            "of the median round, by the time that admitting took; p99 is of all.",
                            keys, rounds, requests));
  Admitter admitter(keys);
  std::vector<double> rates;
  std::vector<double> all;
  for (int round = 0; round <= rounds; ++round) {  // the first one warms up
    std::vector<double> took;
    took.reserve(static_cast<std::size_t>(requests));
    gateway::http::RunToEnd([&]() -> gateway::http::Awaitable<void> {
      for (int i = 0; i < requests; ++i) co_await admitter.Admit(static_cast<std::size_t>(i), took);
    });
    admitter.Settle();
    if (round == 0) continue;
    double sum = 0;
    for (const double one : took) sum += one;
    rates.push_back(1e6 * requests / sum);
    all.insert(all.end(), took.begin(), took.end());
  }
  Must(admitter.conflicts() == 0, "money was lost or doubled");
  report.Figure("admissions per second and core", Median(rates), "1/s", AtLeast(kPerSecondMin));
  report.Figure("p99", Percentile(all, 0.99), "us", AtMost(kP99Max));
  report.Detail("microseconds", Summary(all));
  report.Detail("adjustments_of_leases", admitter.adjust_calls());
  report.Print();
  return report.is_measured() ? 0 : 1;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  CLI::App app("What it costs a gateway to admit a request");
  int keys = 20'000;
  int requests = 20'000;
  int rounds = 15;
  app.add_option("--keys", keys, "Keys that the gateway knows")->check(CLI::Range(16, 1'000'000));
  app.add_option("--requests", requests, "Requests of a round")->check(CLI::Range(100, 50'000));
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  return allod::bench::Bench(keys, requests, rounds);
}
