// Envelopes, batches, signatures, and when what failed is tried again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "services/billing/events/webhook.h"
#include "services/common/digest.h"

namespace allod::billing::events::events_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + 14h + 123456us;

OutboxRow Usage(std::int64_t sequence, int count, std::size_t bytes = 20) {
  OutboxRow row{
      .sequence = sequence, .kind = std::string(kUsageRecorded), .payload = "{}", .create_time = kNow, .usage = {}};
  for (int i = 0; i < count; ++i) {
    const std::string id = std::to_string(sequence) + "-" + std::to_string(i);
    row.usage.push_back({id, kNow, json{{"id", id}, {"cost", "0.0041085"}, {"pad", std::string(bytes, 'x')}}.dump()});
  }
  return row;
}

OutboxRow Other(std::int64_t sequence, const std::string& kind, const std::string& payload = R"({"n":"1"})") {
  return {.sequence = sequence, .kind = kind, .payload = payload, .create_time = kNow, .usage = {}};
}

std::vector<std::string> Ids(const Batch& batch) {
  std::vector<std::string> out;
  for (const json& event : json::parse(batch.body)) out.push_back(event.at("id"));
  return out;
}

TEST(CloudEvent, HasWhatTheSpecificationAsksFor) {
  const Batch batch = MakeBatch(
      "tenants/ke", {Usage(7, 1), Other(8, "invoice.issued", R"({"id":"2026-10","payable":"12.5"})")}, {6, 0}, {});
  const json events = json::parse(batch.body);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], json::parse(R"({"specversion":"1.0","id":"7-0","source":"allod/billing/tenants/ke",
    "type":"org.allod.billing.usage.recorded.v1","subject":"tenants/ke/usageRecords/7-0",
    "time":"2026-11-28T14:00:00.123456Z","sequence":"00000000000000000007","datacontenttype":"application/json",
    "data":{"id":"7-0","cost":"0.0041085","pad":"xxxxxxxxxxxxxxxxxxxx"}})"));
  EXPECT_EQ(events[1].at("type"), "org.allod.billing.invoice.issued.v1");
  EXPECT_EQ(events[1].at("subject"), "tenants/ke/invoices/2026-10");
  EXPECT_EQ(events[1].at("id"), "8");
  EXPECT_EQ(events[1].at("data").at("payable"), "12.5");
  EXPECT_EQ(batch.end, (Position{8, 0}));
  EXPECT_EQ(batch.event_count, 2);
}

TEST(CloudEvent, WhatANameHoldsDoesNotBreakOut) {
  const Batch batch =
      MakeBatch("tenants/ke", {Other(1, "budget.threshold", R"({"name":"a\",\"id\":\"b"})")}, {0, 0}, {});
  const json events = json::parse(batch.body);
  EXPECT_EQ(events[0].at("subject"), R"(a","id":"b)");
  EXPECT_EQ(events[0].at("id"), "1");
}

TEST(CloudEvent, IsAboutWhatItsDataNamesOrTheTenant) {
  const auto subject = [](const std::string& kind, const std::string& data) {
    const Batch batch = MakeBatch("tenants/ke", {Other(1, kind, data)}, {0, 0}, {});
    return json::parse(batch.body).at(0).at("subject").get<std::string>();
  };
  EXPECT_EQ(subject("budget.threshold", R"({"name":"tenants/ke/budgets/a","percent":50})"), "tenants/ke/budgets/a");
  EXPECT_EQ(subject("wallet.low", R"({"name":"tenants/ke/wallet","balance":"4"})"), "tenants/ke/wallet");
  EXPECT_EQ(subject("event_sink.test", "{}"), "tenants/ke");
}

TEST(MakeBatch, TellsWhatIsWantedOnlyAndMovesPastTheRest) {
  const std::vector<OutboxRow> rows = {Usage(1, 2), Other(2, "budget.threshold"), Other(3, "budget.exhausted"),
                                       Other(4, "wallet.low"), Usage(5, 1)};
  EXPECT_THAT(Ids(MakeBatch("tenants/ke", rows, {0, 0}, {"budget.*"})), testing::ElementsAre("2", "3"));
  EXPECT_THAT(Ids(MakeBatch("tenants/ke", rows, {0, 0}, {"wallet.low", "usage.recorded"})),
              testing::ElementsAre("1-0", "1-1", "4", "5-0"));
  const Batch none = MakeBatch("tenants/ke", rows, {0, 0}, {"invoice.issued"});
  EXPECT_EQ(none.event_count, 0);
  EXPECT_EQ(none.body, "");
  EXPECT_EQ(none.end, (Position{5, 0}));
}

TEST(MakeBatch, IsBoundedAndGoesOnWhereItEnded) {
  std::vector<OutboxRow> rows = {Usage(1, 700, 1000), Other(2, "wallet.low"), Usage(3, 500, 1000)};
  Position at{0, 0};
  std::vector<std::string> told, expected;
  for (const OutboxRow& row : rows) {
    if (row.usage.empty()) expected.push_back(std::to_string(row.sequence));
    for (const UsageData& usage : row.usage) expected.push_back(usage.request_id);
  }
  int batches = 0;
  while (at < Position{3, 0}) {
    std::vector<OutboxRow> left;
    for (const OutboxRow& row : rows) {
      if (row.sequence > at.sequence) left.push_back(row);
    }
    const Batch batch = MakeBatch("tenants/ke", left, at, {});
    EXPECT_LE(batch.body.size(), kBatchBytesMax);
    ASSERT_LT(at, batch.end);
    for (const std::string& id : Ids(batch)) told.push_back(id);
    at = batch.end;
    ASSERT_LT(++batches, 20);
  }
  EXPECT_GT(batches, 4);
  EXPECT_EQ(told, expected);
}

TEST(MakeBatch, AnEventThatIsTooLargeGoesAlone) {
  const Batch batch = MakeBatch("tenants/ke", {Usage(1, 2, kBatchBytesMax)}, {0, 0}, {});
  EXPECT_EQ(batch.event_count, 1);
  EXPECT_EQ(batch.end, (Position{0, 1}));
}

TEST(Kinds, AreWordsOrAllThatBeginSo) {
  EXPECT_TRUE(CheckKinds("kinds", {"usage.recorded", "budget.*", "credit_note.issued", "a.b.c"}));
  for (const char* bad :
       {"", "usage", "*", "Usage.recorded", "usage.", ".recorded", "usage.*.x", "usage.rec*", "a.b c"}) {
    const Status refused = CheckKinds("kinds", {"usage.recorded", bad});
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().reason, "UNKNOWN_EVENT_KIND");
    EXPECT_THAT(refused.error().message, testing::HasSubstr("kinds[1]"));
  }
  EXPECT_FALSE(IsWanted({"budget.*"}, "budgets.x"));
  EXPECT_FALSE(IsWanted({"usage.recorded"}, "usage.recorded.x"));
}

TEST(Signature, IsThatOfTheSpecification) {
  // The example of Standard Webhooks' own libraries: secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.
  std::string secret;
  for (const int byte : {0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4,
                         0x3c, 0x3f, 0x08, 0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0}) {
    secret.push_back(static_cast<char>(byte));
  }
  EXPECT_EQ(EncodeBase64(secret), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  EXPECT_EQ(SignWebhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  EXPECT_EQ(EncodeBase64(""), "");
  EXPECT_EQ(EncodeBase64("f"), "Zg==");
  EXPECT_EQ(EncodeBase64("fo"), "Zm8=");
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
}

EventSink Sink() {
  EventSink sink;
  sink.tenant_name = "tenants/ke";
  sink.id = "erp";
  sink.display_name = "ERP";
  sink.url = "https://erp.example/hooks";
  sink.salt = Uuid::FromName("salt/1");
  return sink;
}

std::map<std::string, std::string> Headers(const FetchRequest& request) {
  std::map<std::string, std::string> out;
  for (const std::string& header : request.headers)
    out[header.substr(0, header.find(':'))] = header.substr(header.find(':') + 2);
  return out;
}

TEST(Webhook, IsSignedAndKeepsItsIdForTheSameBody) {
  const SinkSecrets secrets("root");
  EventSink sink = Sink();
  const auto first = Headers(WebhookOf(sink, secrets, "[1]", kNow));
  const auto again = Headers(WebhookOf(sink, secrets, "[1]", kNow + 1h));
  EXPECT_EQ(first.at("webhook-id"), again.at("webhook-id"));
  EXPECT_NE(first.at("webhook-timestamp"), again.at("webhook-timestamp"));
  EXPECT_NE(first.at("webhook-id"), Headers(WebhookOf(sink, secrets, "[1,2]", kNow)).at("webhook-id"));
  const std::string shown = secrets.Shown(sink.name(), sink.salt);
  EXPECT_TRUE(shown.starts_with("whsec_"));
  EXPECT_EQ(first.at("webhook-signature"), SignWebhook(secrets.Secret(sink.name(), sink.salt), first.at("webhook-id"),
                                                       std::stoll(first.at("webhook-timestamp")), "[1]"));
  EXPECT_NE(secrets.Secret("tenants/rw/eventSinks/erp", sink.salt), secrets.Secret(sink.name(), sink.salt));

  sink.previous_salt = sink.salt;
  sink.salt = Uuid::FromName("salt/2");
  sink.previous_expire_time = kNow + 1min;
  const std::string both = Headers(WebhookOf(sink, secrets, "[1]", kNow)).at("webhook-signature");
  EXPECT_THAT(both, testing::HasSubstr(" " + first.at("webhook-signature")));
  EXPECT_EQ(Headers(WebhookOf(sink, secrets, "[1]", kNow + 1min)).at("webhook-signature").find(' '), std::string::npos);
}

TEST(Sink, IsCheckedFieldByField) {
  EXPECT_TRUE(CheckSink(Sink()));
  const auto refusal = [](auto change) {
    EventSink sink = Sink();
    change(sink);
    const Status refused = CheckSink(sink);
    return refused ? std::string() : refused.error().reason;
  };
  for (const char* url : {"http://erp.example/", "https://", "https://u:p@erp.example/", "ftp://erp.example/",
                          "https://erp.example/a b", "https://erp.example/\r\nx: y"}) {
    EXPECT_EQ(refusal([&](EventSink& sink) { sink.url = url; }), "INVALID_URL") << url;
  }
  EXPECT_EQ(refusal([](EventSink& sink) { sink.url += std::string(kUrlBytesMax, 'x'); }), "INVALID_URL");
  EXPECT_EQ(refusal([](EventSink& sink) { sink.kinds = {"x"}; }), "UNKNOWN_EVENT_KIND");
  EXPECT_EQ(refusal([](EventSink& sink) { sink.id = "../x"; }), "INVALID_ID");
  EXPECT_EQ(refusal([](EventSink& sink) { sink.display_name = ""; }), "INVALID_TEXT");
}

TEST(Sink, ItsUrlStaysWhereItBelongs) {
  EXPECT_EQ(SiteOf("https://erp.example:8443/hooks/t0ken?key=1"), "https://erp.example:8443");
  EXPECT_EQ(SiteOf("https://erp.example"), "https://erp.example");
  EXPECT_EQ(SiteOf("https://erp.example?key=1"), "https://erp.example");
  EXPECT_EQ(SiteOf("nothing"), "");
  const std::string url = "https://erp.example/t0ken";
  EXPECT_EQ(WithoutUrl(url + " cannot be read: " + url + " is away", url),
            "https://erp.example cannot be read: https://erp.example is away");
  EXPECT_EQ(WithoutUrl("the answer is 500", url), "the answer is 500");
}

TEST(Backoff, DoublesUpToAnHourAndNeverMeetsItself) {
  EXPECT_EQ(BackoffOf(1, 0), 1s);
  EXPECT_EQ(BackoffOf(2, 0), 2s);
  EXPECT_EQ(BackoffOf(5, 0), 16s);
  EXPECT_EQ(BackoffOf(5, 1), 8s);
  EXPECT_EQ(BackoffOf(100, 0), 1h);
  EXPECT_EQ(BackoffOf(100, 1), 30min);
  EXPECT_EQ(BackoffOf(1'000'000, 0.5), 45min);
  EXPECT_EQ(BackoffOf(0, 0), 1s);
}

}  // namespace
}  // namespace allod::billing::events::events_test
