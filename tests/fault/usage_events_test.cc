// Usage over 24 simulated months: each event is sent one to five times, out of order, by several senders at once, while
// connections to PostgreSQL are cut before and after COMMIT was carried out and months are invoiced. Each counts once,
// in one invoice.
//
// ALLOD_FAULT_EVENTS=1000000 for the long form, ALLOD_FAULT_SEED for another run.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "tests/contract/billing_invoices_fixture.h"
#include "tests/support/commit_cutter.h"

namespace allod::billing::usage_events_test {
namespace {

using namespace invoicing;

constexpr int kMonths = 24;
constexpr std::size_t kBatch = 100;
constexpr int kSenders = 4;
constexpr int kCommitsPerCut = 25;
const std::chrono::year_month kFirst = std::chrono::year(2023) / 10;

int Setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

Time StartOf(int month) { return std::chrono::sys_days((kFirst + std::chrono::months(month)) / 1); }

// One sending of an event.
struct Sending {
  std::size_t event;
  Time time;
};

class UsageEvents : public testing::Test {
 protected:
  void SetUp() override {
    OpenInvoicing(store_, "ke");
    const auto count = static_cast<std::size_t>(Setting("ALLOD_FAULT_EVENTS", 4000));
    const auto all = StartOf(kMonths) - StartOf(0);
    for (std::size_t i = 0; i < count; ++i) {
      const Time admitted = StartOf(0) + all / static_cast<std::int64_t>(count) * static_cast<std::int64_t>(i);
      LeasedUsage usage =
          Leased("ke", Uuid::V7(), Below(900), Below(600), static_cast<Outcome>(1 + Below(4)), admitted);
      usage.terms.price_book = kDearBook;
      usage.prompt_tokens_max = usage.completion_tokens_max = 1000;
      // Hours late, some of them weeks: after their month was invoiced.
      for (std::int64_t copies = 1 + Below(5); copies > 0; --copies) {
        sendings_.push_back({i, admitted + std::chrono::seconds(Below(10) == 0 ? Below(45 * 86'400) : Below(7'200))});
      }
      if (IsBilled(usage.outcome, usage.prompt_tokens, usage.completion_tokens)) {
        expected_ += usage.prompt_tokens * kDearPrompt + usage.completion_tokens * kDearCompletion;
      }
      events_.push_back(std::move(usage));
    }
    std::ranges::stable_sort(sendings_, {}, &Sending::time);
  }
  std::int64_t Below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random_); }

  // Until the store says what became of it.
  void Send(const std::vector<LeasedUsage>& batch, Time now) {
    for (int tries = 0; tries < 50; ++tries) {
      const auto results = store_.SettleBatch({Tenant("ke"), batch}, now);
      if (!results) {
        ++unanswered_;
        continue;
      }
      for (const auto& result : *results) refused_ += result ? 0 : 1;
      return;
    }
    ++refused_;
  }
  // One after the other, as months follow each other.
  void FinaliseBefore(int month) {
    const std::lock_guard lock(finalising_);
    while (finalised_ < month) Finalise(finalised_++);
  }
  void Finalise(int month) {
    for (int tries = 0; tries < 50; ++tries) {
      const auto done = store_.FinaliseInvoice({Tenant("ke"), PeriodOf(StartOf(month)), kSettlementGraceDefault},
                                               StartOf(month + 1) + 49h);
      if (done || done.error().reason == "NOTHING_TO_INVOICE") return;
      last_refusal_ = done.error().reason + ": " + done.error().message;
    }
    ADD_FAILURE() << last_refusal_;
  }

  TestDatabase database_{"billing"};
  CommitCutter cutter_{database_.app_config().url};
  PgPool pool_{[this] {
    PgConfig config = database_.app_config();
    config.url = cutter_.url();
    config.connections_max = 8;
    config.acquire_timeout = 30s;
    config.statement_timeout = 30s;
    return config;
  }()};
  PgStore store_{pool_};
  std::mt19937 random_{static_cast<unsigned>(Setting("ALLOD_FAULT_SEED", 1))};
  std::vector<LeasedUsage> events_;
  std::vector<Sending> sendings_;
  std::int64_t expected_ = 0;  // owed, in 10^-12
  std::atomic<int> refused_ = 0;
  std::atomic<int> unanswered_ = 0;
  std::string last_refusal_;
  std::mutex finalising_;
  int finalised_ = 0;
};

TEST_F(UsageEvents, CountOnceHoweverOftenAndInWhateverOrderTheyAreSent) {
  cutter_.CutEvery(kCommitsPerCut);
  std::mutex mutex;
  std::size_t next = 0;
  const auto send = [&](unsigned seed) {
    std::mt19937 random(seed);
    while (true) {
      std::vector<LeasedUsage> batch;
      Time now;
      int due = 0;
      {
        const std::lock_guard lock(mutex);
        if (next >= sendings_.size()) return;
        const std::size_t end = std::min(next + kBatch, sendings_.size());
        for (; next < end; ++next) {
          batch.push_back(events_[sendings_[next].event]);
          now = sendings_[next].time;
        }
        while (due < kMonths && now > StartOf(due + 1) + 49h) ++due;
      }
      std::ranges::shuffle(batch, random);
      FinaliseBefore(due);
      Send(batch, now);
    }
  };
  std::vector<std::thread> senders;
  for (unsigned i = 0; i < kSenders; ++i) senders.emplace_back(send, i);
  for (std::thread& sender : senders) sender.join();
  cutter_.CutEvery(0);
  EXPECT_EQ(refused_, 0);
  EXPECT_GT(cutter_.cuts(), 0);
  EXPECT_EQ(ExpectSoundBooks(store_, "ke"), Pico(expected_));
  const TenantAudit audit = store_.AuditTenant(Tenant("ke"), kNow, {}).value();
  EXPECT_EQ(audit.usage_record_count, static_cast<std::int64_t>(events_.size()));
  // What is left goes into the months that follow; in all invoices together each token is once.
  FinaliseBefore(kMonths + 2);
  Amount exact;
  const auto invoices = store_.ListInvoices(Tenant("ke"), "", 1000).value();
  for (const IssuedInvoice& listed : invoices) {
    const IssuedInvoice invoice = store_.FindInvoice(Tenant("ke"), listed.id).value();
    for (const IssuedLine& line : invoice.lines) exact = Add(exact, line.exact).value();
  }
  EXPECT_EQ(exact, Pico(expected_));
  pqxx::connection connection(database_.owner_url);
  pqxx::nontransaction session(connection);
  const auto requests = session.exec("SELECT count(*) FROM billing.usage_records")[0][0].as<std::int64_t>();
  std::printf("%lld events, sent %zu times, %d cuts, %d unanswered, %zu invoices: counted %lld\n",
              static_cast<long long>(events_.size()), sendings_.size(), cutter_.cuts(), unanswered_.load(),
              invoices.size(), static_cast<long long>(requests));
}

}  // namespace
}  // namespace allod::billing::usage_events_test
