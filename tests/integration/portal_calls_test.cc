// What the command line asks of the portal API for a call is what the gateway makes that call of: every annotated
// method, by its descriptor. No method has a row here.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>

#include "allod/scheduling/v1/node.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"
#include "cli/net/http_call.h"
#include "gateway/http/error.h"
#include "gateway/portal/transcoder.h"

namespace allod::portal_calls_test {
namespace {

namespace pb = google::protobuf;
using gateway::portal::PortalRoute;
using gateway::portal::Transcoder;
using pb::util::MessageDifferencer;
using testing::HasSubstr;

using MessagePtr = std::unique_ptr<pb::Message>;

MessagePtr New(const pb::Descriptor& type) {
  return MessagePtr(pb::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

// Every field, some odd text in the texts, and of what is repeated two.
void Fill(pb::Message& message, int depth = 0) {
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->is_map()) continue;
    const std::string& type = field->message_type() == nullptr ? "" : field->message_type()->full_name();
    for (int n = 0; n < (field->is_repeated() ? 2 : 1); ++n) {
      const bool more = field->is_repeated();
      const std::string text = "a&b=c/d ü?#%2F" + std::to_string(n);
      switch (field->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_STRING:
          more ? reflection.AddString(&message, field, text) : reflection.SetString(&message, field, text);
          break;
        case pb::FieldDescriptor::CPPTYPE_INT32:
          more ? reflection.AddInt32(&message, field, 7) : reflection.SetInt32(&message, field, 7);
          break;
        case pb::FieldDescriptor::CPPTYPE_INT64:
          more ? reflection.AddInt64(&message, field, 1LL << 60) : reflection.SetInt64(&message, field, 1LL << 60);
          break;
        case pb::FieldDescriptor::CPPTYPE_BOOL:
          more ? reflection.AddBool(&message, field, true) : reflection.SetBool(&message, field, true);
          break;
        case pb::FieldDescriptor::CPPTYPE_ENUM:
          more ? reflection.AddEnumValue(&message, field, 1) : reflection.SetEnumValue(&message, field, 1);
          break;
        case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
          if (type == "google.protobuf.Timestamp" || type == "google.protobuf.Duration") {
            pb::Message* when = reflection.MutableMessage(&message, field);
            when->GetReflection()->SetInt64(when, when->GetDescriptor()->FindFieldByName("seconds"), 1'700'000'000);
            break;
          }
          if (depth > 3 || type == "google.protobuf.Any" || type == "google.protobuf.FieldMask") break;
          pb::Message* inner =
              more ? reflection.AddMessage(&message, field) : reflection.MutableMessage(&message, field);
          Fill(*inner, depth + 1);
          break;
        }
        default:
          break;
      }
    }
  }
}

void SetAt(pb::Message& message, std::string_view path, const std::string& value) {
  const std::size_t dot = path.find('.');
  const auto* field = message.GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  if (dot == std::string_view::npos) return message.GetReflection()->SetString(&message, field, value);
  SetAt(*message.GetReflection()->MutableMessage(&message, field), path.substr(dot + 1), value);
}

// A name that the variable takes.
std::string NameFor(const PathTemplate& path, const PathTemplate::Variable& variable) {
  std::string out;
  for (std::size_t i = variable.begin; i < variable.end; ++i) {
    const auto& segment = path.segments()[i];
    out += (out.empty() ? "" : "/") + (segment.kind == PathTemplate::Kind::kLiteral ? segment.literal : "x-1");
  }
  return out;
}

class PortalCalls : public testing::Test {
 protected:
  // The request that the gateway makes of what the command line asks.
  MessagePtr Reach(const PortalRoute& route, const pb::Message& request) {
    const auto call = cli::net::HttpCallOf(*route.method, request);
    EXPECT_TRUE(call) << route.path_text << ": " << call.error().message;
    if (!call) return nullptr;
    const std::size_t question = call->target.find('?');
    const auto match = transcoder_.Find(call->method, call->target.substr(0, question));
    EXPECT_TRUE(match) << call->target;
    if (!match) return nullptr;
    EXPECT_EQ(match->route->method, route.method) << call->target;
    const std::string query = question == std::string::npos ? "" : call->target.substr(question + 1);
    const auto bytes = transcoder_.EncodeRequest(*match, query, call->json, "", "tenants/ke");
    EXPECT_TRUE(bytes) << call->target << ": " << bytes.error().message;
    MessagePtr out = New(*route.method->input_type());
    EXPECT_TRUE(out->ParseFromString(bytes.value_or("")));
    return out;
  }

  const Transcoder transcoder_ = *Transcoder::Build(gateway::portal::PortalServices());
};

TEST_F(PortalCalls, EveryMethodArrivesAsItWasMeant) {
  std::set<const pb::MethodDescriptor*> reached;
  for (const PortalRoute& route : transcoder_.routes()) {
    for (const bool is_full : {false, true}) {
      MessagePtr request = New(*route.method->input_type());
      if (is_full) Fill(*request);
      for (const auto& variable : route.path.variables())
        SetAt(*request, variable.field, NameFor(route.path, variable));
      // A list below a query has no place in a request: no method has one that matters.
      const MessagePtr reached_request = Reach(route, *request);
      ASSERT_TRUE(reached_request);
      std::string differences;
      MessageDifferencer differencer;
      // An empty body and none are the same.
      differencer.set_message_field_comparison(MessageDifferencer::EQUIVALENT);
      differencer.ReportDifferencesToString(&differences);
      EXPECT_TRUE(differencer.Compare(*request, *reached_request)) << route.path_text << ": " << differences;
      reached.insert(route.method);
    }
  }
  EXPECT_GE(reached.size(), 40U);
}

TEST_F(PortalCalls, WhatThePortalDoesNotHaveIsForOperators) {
  const auto* service = scheduling::v1::Node::descriptor()->file()->FindServiceByName("NodeService");
  const auto call = cli::net::HttpCallOf(*service->FindMethodByName("ListNodes"), scheduling::v1::ListNodesRequest());
  ASSERT_FALSE(call);
  EXPECT_EQ(call.error().reason, "OPERATORS_ONLY");
  EXPECT_THAT(call.error().message, HasSubstr("NodeService.ListNodes"));
}

TEST_F(PortalCalls, ANameThatFitsNoPathIsSaidToBeNone) {
  const auto* service = tenancy::v1::Tenant::descriptor()->file()->FindServiceByName("TenantService");
  for (const char* name : {"", "ke", "tenants/ke/projects/p"}) {
    tenancy::v1::GetTenantRequest request;
    request.set_name(name);
    const auto call = cli::net::HttpCallOf(*service->FindMethodByName("GetTenant"), request);
    ASSERT_FALSE(call) << name;
    EXPECT_EQ(call.error().reason, "INVALID_NAME");
  }
}

TEST_F(PortalCalls, RefusalsComeBackAsTheyWere) {
  for (const Code code : {Code::kInvalidArgument, Code::kNotFound, Code::kAlreadyExists, Code::kPermissionDenied,
                          Code::kFailedPrecondition, Code::kAborted, Code::kUnavailable, Code::kResourceExhausted}) {
    const Error error{code, "SOME_REASON", "what was wrong, \"where\""};
    const auto response = gateway::http::ErrorResponse(gateway::http::ErrorStyle::kProblem, error);
    EXPECT_EQ(cli::net::ErrorOf(response.status, response.body, "https://x"), error);
  }
  const Error other = cli::net::ErrorOf(502, "<html>", "https://x");
  EXPECT_EQ(other.code, Code::kUnavailable);
  EXPECT_EQ(other.reason, "HTTP_ERROR");
  EXPECT_THAT(other.message, HasSubstr("502"));
}

TEST_F(PortalCalls, AnswersOfNewerGatewaysAreRead) {
  tenancy::v1::Tenant tenant;
  EXPECT_TRUE(cli::net::ReadAnswer(R"({"name":"tenants/ke","isNew":{"a":1},"weight":2})", tenant));
  EXPECT_EQ(tenant.weight(), 2);
  EXPECT_EQ(cli::net::ReadAnswer("<html>", tenant).error().reason, "NO_GATEWAY");
}

}  // namespace
}  // namespace allod::portal_calls_test
