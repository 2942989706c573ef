// Event sinks and the relay over PostgreSQL and real sockets: whatever receivers do, each event arrives at least once
// and in order, and nobody waits for another's.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "services/billing/events/file_export.h"
#include "services/billing/events/pg_event_store.h"
#include "services/billing/events/pg_export_store.h"
#include "services/billing/events/redis_export.h"
#include "services/billing/events/relay.h"
#include "services/billing/events/webhook.h"
#include "services/common/web/curl_fetcher.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http_receiver.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::events::billing_events_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// What a receiver took, in the order in which it answered 2xx.
class Log {
 public:
  void Take(const std::string& body) {
    const std::scoped_lock lock(mutex_);
    for (const json& event : json::parse(body)) events_.push_back(event);
  }
  std::vector<json> events() const {
    const std::scoped_lock lock(mutex_);
    return events_;
  }
  // The ids, each when it came first.
  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    std::set<std::string> seen;
    for (const json& event : events()) {
      if (seen.insert(event.at("id")).second) out.push_back(event.at("id"));
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<json> events_;
};

class Events : public testing::Test {
 protected:
  void SetUp() override {
    OpenKenya(store_, 1'000'000);
    ASSERT_TRUE(store_.SetBillingAccount(Account("rw", 1'000'000 * kHold), kNow));
  }
  EventSink Sink(const std::string& tenant, const std::string& id, const std::string& url,
                 std::vector<std::string> kinds = {}) {
    EventSink sink;
    sink.tenant = Tenant(tenant);
    sink.tenant_name = "tenants/" + tenant;
    sink.id = id;
    sink.display_name = id;
    sink.url = url;
    sink.kinds = std::move(kinds);
    sink.salt = Uuid::V7();
    const auto made = sinks_.CreateSink(sink, {});
    EXPECT_TRUE(made) << made.error().reason << ": " << made.error().message;
    return made.value_or(sink);
  }
  void AddEvents(const std::string& tenant, int count) {
    for (int i = 0; i < count; ++i) {
      const auto done = harness_.pool().Run<int>(Tenant(tenant), [&](TenantTx& tx) -> Result<int> {
        tx.Exec("SELECT billing.add_event($1::uuid, 'wallet.low', $2::jsonb)", tx.tenant(),
                fmt::format(R"({{"n":"{}"}})", i));
        return 0;
      });
      ASSERT_TRUE(done) << done.error().message;
    }
  }
  std::vector<std::string> Numbers(int last, int first = 1) {
    std::vector<std::string> out;
    for (int i = first; i <= last; ++i) out.push_back(std::to_string(i));
    return out;
  }
  EventSink Get(const EventSink& sink) { return sinks_.GetSink(sink.tenant, sink.id).value(); }
  void Sql(const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::nontransaction work(owner);
    work.exec(sql);
  }
  // Roll-ups read the outbox as well: in all that there is by now, as their loop does within seconds.
  void RollUp() {
    for (const char* tenant : {"ke", "rw"}) {
      const auto done = harness_.pool().Run<int>(Tenant(tenant), [&](TenantTx& tx) -> Result<int> {
        return tx.Exec("SELECT billing.roll_up_usage($1::uuid, 1000)", tx.tenant())[0][0].as<int>();
      });
      EXPECT_TRUE(done) << done.error().message;
    }
  }
  // Nobody waits for a retry longer than a test likes.
  void HurryUp() { Sql("UPDATE billing.event_sinks SET next_attempt_time = clock_timestamp() WHERE failures > 0"); }
  bool Until(const std::function<bool()>& done, std::chrono::seconds limit = 40s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return done();
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgEventStore sinks_{harness_.pool(), [](const UsageRecord& record, const std::string&) {
                        return json{{"cost", record.cost.ToString()}}.dump();
                      }};
  const SinkSecrets secrets_{"root"};
  const SystemClock clock_;
  CurlFetcher fetcher_{AddressPolicy({IpRange::Parse("network", "127.0.0.0/8").value()}), CurlFetcher::Options{}};
  Relay relay_{sinks_, fetcher_, secrets_, clock_};
};

TEST_F(Events, ArriveSignedInOrderWithTheUsageThatWasSettled) {
  Log log;
  std::atomic<int> wrong_signatures = 0;
  EventSink sink;
  const HttpReceiver receiver([&](const ReceivedRequest& request) {
    const std::string expected =
        SignWebhook(secrets_.Secret("tenants/ke/eventSinks/erp", sink.salt), request.headers.at("webhook-id"),
                    std::stoll(request.headers.at("webhook-timestamp")), request.body);
    if (request.headers.at("webhook-signature") != expected) ++wrong_signatures;
    EXPECT_EQ(request.headers.at("content-type"), "application/cloudevents-batch+json");
    log.Take(request.body);
    return HttpReceiver::Response("204 No Content");
  });
  AddEvents("ke", 1);
  sink = Sink("ke", "erp", receiver.url());
  const Uuid lease = Uuid::V7();
  Adjusted(store_, Adjustment("ke", lease, 1, kHold, 100 * kHold));
  std::vector<LeasedUsage> usage;
  for (int i = 0; i < 5; ++i) usage.push_back(Leased("ke", lease, 2, 3));
  Settled(store_, "ke", usage);
  AddEvents("ke", 2);
  relay_.Start();
  ASSERT_TRUE(Until([&] { return log.events().size() == 7; })) << log.events().size() << Get(sink).health.last_error;
  std::set<std::string> requests, told;
  for (const LeasedUsage& one : usage) requests.insert(one.request_id.ToString());
  for (int i = 0; i < 5; ++i) {
    told.insert(log.events()[i].at("id"));
    EXPECT_EQ(log.events()[i].at("type"), "org.allod.billing.usage.recorded.v1");
    EXPECT_EQ(log.events()[i].at("data").at("cost"), Pico(2 * kPrompt + 3 * kCompletion).ToString());
  }
  EXPECT_EQ(told, requests);
  EXPECT_EQ(log.events()[5].at("id"), "3");
  EXPECT_EQ(log.events()[6].at("id"), "4");
  EXPECT_EQ(wrong_signatures, 0);
  ASSERT_TRUE(Until([&] { return Get(sink).health.backlog == 0; }));
  EXPECT_TRUE(Get(sink).health.last_success_time);
  EXPECT_EQ(Get(sink).health.last_error, "");
}

TEST_F(Events, AReceiverThatFailsLosesNothingAndGetsThemInOrder) {
  Log log;
  std::atomic<int> calls = 0;
  const HttpReceiver receiver([&](const ReceivedRequest& request) {
    switch (++calls % 4) {
      case 1:
        return HttpReceiver::Response("500 Internal Server Error");
      case 2:
        return std::string("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n") + std::string(200'000, 'x');
      case 3:
        return std::string("this is no HTTP\r\n\r\n");
      default:
        log.Take(request.body);
        return HttpReceiver::Response("200 OK");
    }
  });
  const EventSink sink = Sink("ke", "erp", receiver.url());
  relay_.Start();
  for (int round = 0; round < 3; ++round) {
    AddEvents("ke", 10);
    ASSERT_TRUE(Until([&] {
      HurryUp();
      return log.ids().size() == 10U * (round + 1);
    })) << log.ids().size();
  }
  EXPECT_EQ(log.ids(), Numbers(30));
  EXPECT_GE(calls, 12);
  ASSERT_TRUE(Until([&] { return Get(sink).health.failures == 0; }));
  EXPECT_NE(Get(sink).health.last_error, "") << "it is remembered";
}

TEST_F(Events, WhoHangsOrRedirectsKeepsNobodyElses) {
  Log log;
  std::atomic<int> forbidden = 0;
  const HttpReceiver silent([](const ReceivedRequest&) { return std::string(); });
  const HttpReceiver inner([&](const ReceivedRequest&) {
    ++forbidden;
    return HttpReceiver::Response("200 OK");
  });
  const HttpReceiver redirecting([&](const ReceivedRequest& request) {
    return HttpReceiver::Response(
        "307 Temporary Redirect",
        "location: " + (request.path == "/hook" ? "http://169.254.169.254/" : inner.url()) + "\r\n");
  });
  const HttpReceiver good([&](const ReceivedRequest& request) {
    log.Take(request.body);
    return HttpReceiver::Response("200 OK");
  });
  for (int i = 0; i < kSinksPerTenantMax - 3; ++i) Sink("rw", fmt::format("silent-{}", i), silent.url());
  const EventSink redirected = Sink("rw", "aa-redirecting", redirecting.url());
  const EventSink closed = Sink("rw", "ab-metadata", "https://169.254.169.254/latest/meta-data");
  const EventSink other = Sink("rw", "zz-good", good.url(), {"budget.*"});
  const EventSink sink = Sink("ke", "erp", good.url());
  AddEvents("rw", 3);
  relay_.Start();
  std::this_thread::sleep_for(1500ms);
  const auto began = std::chrono::steady_clock::now();
  AddEvents("ke", 20);
  ASSERT_TRUE(Until([&] { return log.ids().size() == 20; }, 9s)) << log.ids().size();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 8s) << "less than it waits for one that hangs";
  EXPECT_EQ(log.ids(), Numbers(20));
  ASSERT_TRUE(Until([&] { return Get(redirected).health.failures > 0 && Get(closed).health.failures > 0; }));
  EXPECT_THAT(Get(redirected).health.last_error, HasSubstr("307"));
  EXPECT_THAT(Get(closed).health.last_error, HasSubstr("not public"));
  EXPECT_EQ(forbidden, 0);
  EXPECT_EQ(Get(redirected).health.backlog, 3);
}

TEST_F(Events, WhatIsDeliveredIsTrimmedAndWhoIsGoneHoldsNothingForEver) {
  Log log;
  const HttpReceiver good([&](const ReceivedRequest& request) {
    log.Take(request.body);
    return HttpReceiver::Response("200 OK");
  });
  const EventSink sink = Sink("ke", "erp", good.url());
  const EventSink gone = Sink("ke", "gone", "http://127.0.0.1:1/");
  AddEvents("ke", 5);
  AddEvents("rw", 5);
  EXPECT_EQ(relay_.TrimOnce().value(), 0) << "roll-ups have not got them";
  RollUp();
  EXPECT_EQ(relay_.TrimOnce().value(), 5) << "of whom nobody listens to";
  const auto round = [&] {
    EXPECT_TRUE(relay_.RunOnce());
    std::this_thread::sleep_for(20ms);
    return false;
  };
  ASSERT_TRUE(Until([&] { return round() || (log.ids().size() == 5 && Get(gone).health.failures > 0); }));
  EXPECT_EQ(Get(gone).health.backlog, 5);
  // As if it had been so for days.
  Sql("UPDATE billing.event_sinks SET failing_since = failing_since - interval '73 hours' WHERE id = 'gone'");
  Sql("ALTER TABLE billing.outbox DISABLE TRIGGER refuse_change");
  Sql("UPDATE billing.outbox SET create_time = create_time - interval '73 hours'");
  EXPECT_EQ(relay_.TrimOnce().value(), 0) << "one has not got them";
  HurryUp();
  ASSERT_TRUE(Until([&] { return round() || Get(gone).health.suspended; }));
  EXPECT_EQ(relay_.TrimOnce().value(), 5);
  // It comes back when it is updated, with what there is.
  AddEvents("ke", 1);
  EventSink back = Get(gone);
  back.url = good.url();
  const auto updated = sinks_.UpdateSink(back, EtagOf(back), {});
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_FALSE(updated->health.suspended);
  EXPECT_EQ(sinks_.UpdateSink(back, EtagOf(back), {}).error().reason, "ETAG_MISMATCH");
  ASSERT_TRUE(Until([&] { return round() || (Get(gone).health.backlog == 0 && Get(sink).health.backlog == 0); }));
  EXPECT_EQ(log.events().size(), 7U) << "the sixth at both";
}

// One that takes something now and then, or all of it more slowly than it comes, keeps the outbox for a week at most.
TEST_F(Events, WhoLimpsHoldsNothingForEver) {
  const std::string url = "http://127.0.0.1:1/t0ken";
  const EventSink limping = Sink("ke", "limping", url);
  const EventSink slow = Sink("ke", "slow", url);
  AddEvents("ke", 200);
  RollUp();
  Sql("ALTER TABLE billing.outbox DISABLE TRIGGER refuse_change");
  const auto age = [&](const std::string& by) {
    Sql("UPDATE billing.outbox SET create_time = create_time - interval '" + by + "'");
  };
  age("167 hours");
  EXPECT_EQ(sinks_.Delivered(limping.key(), {0, 0}, {1, 0}, true), false);
  EXPECT_EQ(sinks_.Failed(limping.key(), {"the answer is 500", 1s}), false);
  EXPECT_EQ(sinks_.Delivered(slow.key(), {0, 0}, {1, 0}, true), false);
  EXPECT_EQ(relay_.TrimOnce().value(), 1) << "both have the first one";
  age("2 hours");
  EXPECT_EQ(sinks_.Failed(limping.key(), {"the answer is 500", 1s}), true) << "it failed for a moment only";
  EXPECT_TRUE(Get(limping).health.suspended);
  EXPECT_EQ(Get(limping).health.last_error, "the answer is 500");
  EXPECT_EQ(sinks_.Failed(limping.key(), {"late", 1s}), false) << "told of once";
  EXPECT_EQ(sinks_.Delivered(slow.key(), {1, 0}, {2, 0}, true), true);
  EXPECT_TRUE(Get(slow).health.suspended);
  EXPECT_THAT(Get(slow).health.last_error, HasSubstr("older than a week"));
  EXPECT_EQ(relay_.TrimOnce().value(), 199);
}

TEST_F(Events, WhatAReceiverDoesWrongIsToldWithoutItsUrl) {
  const EventSink gone = Sink("ke", "gone", "http://127.0.0.1:1/t0ken");
  AddEvents("ke", 1);
  ASSERT_TRUE(Until([&] {
    EXPECT_TRUE(relay_.RunOnce());
    return Get(gone).health.failures > 0;
  }));
  EXPECT_THAT(Get(gone).health.last_error, HasSubstr("http://127.0.0.1:1"));
  EXPECT_EQ(Get(gone).health.last_error.find("t0ken"), std::string::npos) << Get(gone).health.last_error;
}

TEST_F(Events, AreSentAgainFromWhereItIsAskedFor) {
  Log log;
  const HttpReceiver good([&](const ReceivedRequest& request) {
    log.Take(request.body);
    return HttpReceiver::Response("200 OK");
  });
  const EventSink sink = Sink("ke", "erp", good.url());
  AddEvents("ke", 6);
  relay_.Start();
  ASSERT_TRUE(Until([&] { return log.events().size() == 6 && Get(sink).health.backlog == 0; }));
  EXPECT_EQ(sinks_.Replay(sink.key(), 4).value(), 4);
  ASSERT_TRUE(Until([&] { return log.events().size() == 9; })) << log.events().size();
  EXPECT_EQ(log.events()[6].at("id"), "4");
  EXPECT_EQ(sinks_.Replay({Tenant("rw"), "erp"}, 1).error().code, Code::kNotFound);
}

TEST_F(Events, TwoRelaysAndDeathsInBetweenKeepTheOrder) {
  Log log;
  const HttpReceiver slow([&](const ReceivedRequest& request) {
    std::this_thread::sleep_for(30ms);
    log.Take(request.body);
    return HttpReceiver::Response("200 OK");
  });
  Sink("ke", "erp", slow.url());
  std::atomic<bool> writing = true;
  std::jthread writer([&] {
    for (int i = 0; i < 60; ++i) {
      AddEvents("ke", 2);
      std::this_thread::sleep_for(10ms);
    }
    writing = false;
  });
  Relay other(sinks_, fetcher_, secrets_, clock_);
  other.Start();
  int deaths = 0;
  while (writing) {
    // One that ends with a delivery in flight, which nobody writes down.
    Relay dying(sinks_, fetcher_, secrets_, clock_);
    (void)dying.RunOnce();
    ++deaths;
    // Its claim is over sooner than it would be.
    std::this_thread::sleep_for(60ms);
    Sql("UPDATE billing.event_sinks SET next_attempt_time = '-infinity'");
  }
  ASSERT_TRUE(Until([&] { return log.ids().size() == 120; })) << log.ids().size();
  EXPECT_EQ(log.ids(), Numbers(120));
  EXPECT_GT(deaths, 3);
}

std::vector<json> Lines(const std::filesystem::path& path) {
  std::vector<json> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.push_back(json::parse(line));
  return out;
}

TEST_F(Events, AFileHasAllOfEveryTenantOnceItIsBack) {
  const TempDir dir;
  PgExportStore store(harness_.pool(), [](const UsageRecord&, const std::string&) { return std::string("{}"); });
  ASSERT_TRUE(store.SetExports({"file"}));
  AddEvents("ke", 3);
  AddEvents("rw", 2);
  RollUp();
  FileExport away({.path = dir / "none/events.jsonl"});
  ExportLoop fails(store, away, "file", clock_);
  EXPECT_EQ(fails.RunOnce().error().reason, "EXPORT_FAILED");
  EXPECT_EQ(relay_.TrimOnce().value(), 0) << "the file has not got them";
  {
    FileExport destination({.path = dir / "events.jsonl"});
    ExportLoop loop(store, destination, "file", clock_);
    EXPECT_EQ(loop.RunOnce().value(), 5);
    EXPECT_EQ(loop.RunOnce().value(), 0);
    FileExport second({.path = dir / "events.jsonl"});
    EXPECT_EQ(second.Put({"{}"}).error().reason, "EXPORT_FAILED") << "two would write over each other";
  }
  EXPECT_EQ(relay_.TrimOnce().value(), 5);
  // Torn by a death in the middle of a line.
  std::ofstream(dir / "events.jsonl", std::ios::app) << R"({"specversion":"1.0","id)";
  AddEvents("ke", 2);
  {
    FileExport destination({.path = dir / "events.jsonl"});
    ExportLoop loop(store, destination, "file", clock_);
    EXPECT_EQ(loop.RunOnce().value(), 2);
  }
  std::map<std::string, std::vector<std::string>> told;
  for (const json& event : Lines(dir / "events.jsonl")) told[event.at("source")].push_back(event.at("id"));
  EXPECT_EQ(told["allod/billing/tenants/ke"], Numbers(5));
  EXPECT_EQ(told["allod/billing/tenants/rw"], Numbers(2));
  ASSERT_TRUE(store.SetExports({}));
  AddEvents("ke", 1);
  RollUp();
  EXPECT_EQ(relay_.TrimOnce().value(), 3) << "what is not configured holds nothing";
}

TEST_F(Events, AFileIsRenamedWhenItIsLargeAndTheOldestGoes) {
  const TempDir dir;
  FileExport destination({.path = dir / "e", .bytes_max = 10, .kept = 2});
  for (const char* event : {R"({"id":"first"})", R"({"id":"second"})", R"({"id":"third"})", R"({"id":"fourth"})"}) {
    ASSERT_TRUE(destination.Put({event}));
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "e"));
  EXPECT_EQ(Lines(dir / "e.1").at(0).at("id"), "fourth");
  EXPECT_EQ(Lines(dir / "e.2").at(0).at("id"), "third");
  EXPECT_FALSE(std::filesystem::exists(dir / "e.3"));
}

TEST_F(Events, AStreamHasThemInOrder) {
  TestRedis redis;
  PgExportStore store(harness_.pool(), [](const UsageRecord&, const std::string&) { return std::string("{}"); });
  ASSERT_TRUE(store.SetExports({"redis"}));
  AddEvents("ke", 250);
  RedisExport destination({.url = redis.url(), .stream = "events"});
  ExportLoop loop(store, destination, "redis", clock_);
  EXPECT_EQ(loop.RunOnce().value(), 250);
  Redis look({redis.url(), std::chrono::milliseconds(2000)});
  const auto told = look.Eval(
      "local out = {} for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do "
      "out[#out + 1] = tonumber(cjson.decode(e[2][2]).id) end return out",
      {"events"}, {});
  ASSERT_TRUE(told) << told.error().message;
  ASSERT_EQ(told->size(), 250U);
  for (std::size_t i = 0; i < told->size(); ++i) ASSERT_EQ((*told)[i], static_cast<std::int64_t>(i) + 1);
}

TEST_F(Events, SinksAreBoundedNamedOnceAndOfTheirTenant) {
  const EventSink sink = Sink("ke", "erp", "https://erp.example/");
  EventSink again = sink;
  EXPECT_EQ(sinks_.CreateSink(again, {}).error().reason, "NAME_TAKEN");
  const RequestId request = MakeRequestId(Uuid::V7().ToString(), "Create", "x").value();
  again.id = "second";
  const auto made = sinks_.CreateSink(again, request);
  ASSERT_TRUE(made);
  again.salt = Uuid::V7();
  EXPECT_EQ(sinks_.CreateSink(again, request)->salt, made->salt) << "the same answer again";
  for (int i = 2; i < kSinksPerTenantMax; ++i) Sink("ke", fmt::format("s{}", i), "https://erp.example/");
  again.id = "more";
  EXPECT_EQ(sinks_.CreateSink(again, {}).error().reason, "TOO_MANY_EVENT_SINKS");
  EXPECT_EQ(sinks_.ListSinks(Tenant("ke"), "", 100)->size(), static_cast<std::size_t>(kSinksPerTenantMax));
  EXPECT_EQ(sinks_.ListSinks(Tenant("rw"), "", 100)->size(), 0U);
  EXPECT_EQ(sinks_.GetSink(Tenant("rw"), "erp").error().code, Code::kNotFound);
  EXPECT_EQ(sinks_.DeleteSink({Tenant("rw"), "erp"}).error().code, Code::kNotFound);
  again.tenant = Tenant("ug");
  EXPECT_EQ(sinks_.CreateSink(again, {}).error().reason, "NO_BILLING_ACCOUNT");
  const auto rotated = sinks_.RotateSecret(sink.key(), Uuid::V7(), std::chrono::system_clock::now() + 1h, {});
  ASSERT_TRUE(rotated);
  EXPECT_EQ(rotated->previous_salt, sink.salt);
  EXPECT_NE(rotated->salt, sink.salt);
  EXPECT_TRUE(sinks_.DeleteSink(sink.key()));
  EXPECT_EQ(sinks_.DeleteSink(sink.key()).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace allod::billing::events::billing_events_test
