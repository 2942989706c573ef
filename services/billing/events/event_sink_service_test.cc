// The RPCs of event sinks over a real connection, on a store in memory.
#include "services/billing/events/event_sink_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "services/billing/events/convert_event.h"
#include "services/billing/events/testing/fake_event_store.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::events::event_sink_service_test {
namespace {

using testing::HasSubstr;

class Receiver final : public Fetcher {
 public:
  void Fetch(FetchRequest request, Done done) override {
    requests.push_back(std::move(request));
    if (fails) return done(Fail(Code::kUnavailable, "FETCH_FAILED", "the answer is 500"));
    done("what a receiver says is nobody's");
  }
  std::vector<FetchRequest> requests;
  bool fails = false;
};

class EventSinkRpc : public testing::Test {
 protected:
  explicit EventSinkRpc(bool configured = true) {
    if (configured) sending_.emplace(secrets_, receiver_);
    service_.emplace(store_, sending_, clock_, gates_);
    server_ = Server::Start({.listen = address_}, {&*service_}).value();
    stub_ = v1::EventSinkService::NewStub(MakeChannel(address_));
  }
  template <typename Method, typename Request>
  auto Ask(Method method, const Request& request, const Caller& caller = Caller::Tenant("ke")) {
    return CallUnary(*stub_, method, request, caller, std::chrono::seconds(10));
  }
  Result<v1::EventSinkWithSecret> Create(const std::string& id = "erp",
                                         const std::string& url = "https://erp.example/") {
    v1::CreateEventSinkRequest request;
    request.set_parent("tenants/ke");
    request.set_event_sink_id(id);
    request.mutable_event_sink()->set_display_name("ERP");
    request.mutable_event_sink()->set_url(url);
    request.mutable_event_sink()->add_kinds("usage.recorded");
    return Ask(&v1::EventSinkService::Stub::CreateEventSink, request);
  }

  const TempDir dir_;
  const std::string address_ = "unix:" + (dir_ / "s.sock").string();
  FakeEventStore store_;
  FakeClock clock_;
  CallGates gates_;
  const SinkSecrets secrets_{"root"};
  Receiver receiver_;
  std::optional<Sending> sending_;
  std::optional<EventSinkServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::EventSinkService::Stub> stub_;
};

class EventSinkRpcOff : public EventSinkRpc {
 protected:
  EventSinkRpcOff() : EventSinkRpc(false) {}
};

TEST_F(EventSinkRpc, ShowsASecretWhenItIsMadeAndNeverAgain) {
  const auto made = Create();
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(made->secret(), HasSubstr("whsec_"));
  EXPECT_EQ(made->event_sink().name(), "tenants/ke/eventSinks/erp");
  EXPECT_EQ(made->event_sink().status().state(), v1::EventSinkStatus::STATE_ACTIVE);
  v1::GetEventSinkRequest get;
  get.set_name("tenants/ke/eventSinks/erp");
  const auto got = Ask(&v1::EventSinkService::Stub::GetEventSink, get);
  ASSERT_TRUE(got);
  EXPECT_THAT(got->SerializeAsString(), testing::Not(HasSubstr("whsec_")));
  v1::RotateEventSinkSecretRequest rotate;
  rotate.set_name(get.name());
  rotate.mutable_overlap()->set_seconds(60);
  const auto rotated = Ask(&v1::EventSinkService::Stub::RotateEventSinkSecret, rotate);
  ASSERT_TRUE(rotated);
  EXPECT_NE(rotated->secret(), made->secret());
  EXPECT_TRUE(rotated->event_sink().has_previous_secret_expire_time());
  rotate.mutable_overlap()->set_seconds(-1);
  EXPECT_EQ(Ask(&v1::EventSinkService::Stub::RotateEventSinkSecret, rotate).error().reason, "INVALID_OVERLAP");
}

TEST_F(EventSinkRpc, RefusesWhatItCannotSendTo) {
  EXPECT_EQ(Create("erp", "http://erp.example/").error().reason, "INVALID_URL");
  EXPECT_EQ(Create("../x").error().reason, "INVALID_ID");
  ASSERT_TRUE(Create());
  EXPECT_EQ(Create().error().reason, "NAME_TAKEN");
}

TEST_F(EventSinkRpc, ATestSaysWhatWasAnsweredAndNothingOfTheAnswer) {
  ASSERT_TRUE(Create());
  v1::TestEventSinkRequest request;
  request.set_name("tenants/ke/eventSinks/erp");
  const auto well = Ask(&v1::EventSinkService::Stub::TestEventSink, request);
  ASSERT_TRUE(well) << well.error().message;
  EXPECT_TRUE(well->delivered());
  EXPECT_EQ(well->error(), "");
  ASSERT_EQ(receiver_.requests.size(), 1U);
  EXPECT_THAT(receiver_.requests[0].body, HasSubstr("org.allod.billing.event_sink.test.v1"));
  receiver_.fails = true;
  const auto ill = Ask(&v1::EventSinkService::Stub::TestEventSink, request);
  ASSERT_TRUE(ill);
  EXPECT_FALSE(ill->delivered());
  EXPECT_THAT(ill->error(), HasSubstr("500"));
}

TEST_F(EventSinkRpc, OperatorsWhoOnlyLookSeeTheSiteAlone) {
  ASSERT_TRUE(Create("erp", "https://erp.example/t0ken"));
  v1::GetEventSinkRequest get;
  get.set_name("tenants/ke/eventSinks/erp");
  v1::ListEventSinksRequest list;
  list.set_parent("tenants/ke");
  for (const auto& [caller, url] : std::vector<std::pair<Caller, std::string>>{
           {Caller::Tenant("ke"), "https://erp.example/t0ken"},
           {Caller::Operator(), "https://erp.example/t0ken"},
           {Caller::Operator({Role::ROLE_SUPPORT}), "https://erp.example"},
           {Caller::Operator({Role::ROLE_OPERATOR_AUDITOR}), "https://erp.example"}}) {
    const auto got = Ask(&v1::EventSinkService::Stub::GetEventSink, get, caller);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->url(), url) << caller.ToString();
    EXPECT_EQ(Ask(&v1::EventSinkService::Stub::ListEventSinks, list, caller)->event_sinks(0).url(), url);
  }
}

TEST_F(EventSinkRpc, ChangesWithAnEtagAndIsGoneWhenDeleted) {
  const auto made = Create();
  ASSERT_TRUE(made);
  v1::UpdateEventSinkRequest update;
  *update.mutable_event_sink() = made->event_sink();
  update.mutable_event_sink()->set_disabled(true);
  const auto changed = Ask(&v1::EventSinkService::Stub::UpdateEventSink, update);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->status().state(), v1::EventSinkStatus::STATE_DISABLED);
  EXPECT_EQ(Ask(&v1::EventSinkService::Stub::UpdateEventSink, update).error().reason, "ETAG_MISMATCH");
  v1::DeleteEventSinkRequest remove;
  remove.set_name("tenants/ke/eventSinks/erp");
  EXPECT_TRUE(Ask(&v1::EventSinkService::Stub::DeleteEventSink, remove));
  EXPECT_EQ(Ask(&v1::EventSinkService::Stub::DeleteEventSink, remove).error().code, Code::kNotFound);
  EXPECT_EQ(Ask(&v1::EventSinkService::Stub::DeleteEventSink, remove, Caller::Tenant("tz")).error().code,
            Code::kNotFound);
}

TEST_F(EventSinkRpcOff, SaysWhatTheInstallationLacks) {
  const auto refused = Create();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "EVENTS_NOT_CONFIGURED");
  EXPECT_THAT(refused.error().message, HasSubstr("event_secret_file"));
}

TEST(UsageJson, IsTheResourceOfThePortal) {
  UsageRecord record;
  record.request_id = Uuid::FromName("r");
  record.currency_code = "KES";
  record.cost = Amount::FromPico(4'108'500'000);
  record.prompt_tokens = 31;
  const std::string json = UsageJson(record, "tenants/ke");
  EXPECT_THAT(json, HasSubstr(R"("name":"tenants/ke/usageRecords/)" + record.request_id.ToString()));
  EXPECT_THAT(json, HasSubstr(R"("amount":"0.0041085")"));
  EXPECT_THAT(json, HasSubstr(R"("promptTokens":"31")"));
  EXPECT_THAT(json, HasSubstr(R"("completionTokens":"0")")) << "what is zero is said";
}

}  // namespace
}  // namespace allod::billing::events::event_sink_service_test
