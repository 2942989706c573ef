#include "cli/net/gateway_channel.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/async_generic_service.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "cli/net/http_call.h"
#include "cli/net/http_client.h"
#include "services/common/result.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/status.h"

namespace allod::cli::net {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr int kMessageBytesMax = 64 << 20;
constexpr char kPortal[] = "/portal";

// Of "/package.Service/Method".
const MethodDescriptor* MethodAt(std::string path) {
  if (path.starts_with('/')) path.erase(0, 1);
  std::ranges::replace(path, '/', '.');
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(path);
}

std::unique_ptr<Message> MessageOf(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

bool Parse(const grpc::ByteBuffer& buffer, Message& message) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return false;
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return message.ParseFromString(bytes);
}

grpc::ByteBuffer Serialize(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

int SecondsUntil(std::chrono::system_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - std::chrono::system_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 1, 600));
}

}  // namespace

// Every method there is, answered by the gateway.
class GatewayChannel::Bridge final : public grpc::CallbackGenericService {
 public:
  explicit Bridge(GatewaySession session) : session_(std::move(session)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

  Result<std::unique_ptr<Message>> Answer(const MethodDescriptor& method, const Message& request, int timeout_s) const {
    ALLOD_TRY(HttpCall call, HttpCallOf(method, request));
    HttpRequest http{.method = std::move(call.method),
                     .url = session_.gateway + kPortal + call.target,
                     .bearer = session_.token,
                     .json = std::move(call.json),
                     .timeout_s = timeout_s};
    if (!session_.project.empty()) http.headers.emplace_back("x-allod-project", session_.project);
    ALLOD_TRY(const HttpResponse response, Fetch(http));
    if (response.status / 100 != 2)
      return std::unexpected(Told(ErrorOf(response.status, response.body, session_.gateway)));
    auto answer = MessageOf(method.output_type());
    ALLOD_CHECK_OK(ReadAnswer(response.body, *answer));
    return answer;
  }

 private:
  // With what to do about it here.
  Error Told(Error error) const {
    if (error.code == Code::kUnauthenticated) {
      error.message += fmt::format("; sign in again: allod login TENANT --gateway {}", session_.gateway);
    } else if (error.reason == "PROJECT_NEEDED") {
      error.message += ": --as-in tenants/TENANT/projects/PROJECT";
    }
    return error;
  }

  const GatewaySession session_;
};

namespace {

// One call, from its request to its answer. Deletes itself.
template <typename Bridge>
class BridgedCall final : public grpc::ServerGenericBidiReactor {
 public:
  BridgedCall(const Bridge& bridge, const grpc::GenericCallbackServerContext& context)
      : bridge_(bridge), context_(context) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    const MethodDescriptor* method = MethodAt(context_.method());
    if (!ok || method == nullptr) return Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, context_.method()));
    const auto request = MessageOf(method->input_type());
    if (!Parse(request_, *request)) return Finish(grpc::Status(grpc::StatusCode::INTERNAL, "not the method's request"));
    const auto answer = bridge_.Answer(*method, *request, SecondsUntil(context_.deadline()));
    if (!answer) return Finish(ToGrpc(answer.error()));
    answer_ = Serialize(**answer);
    StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  const Bridge& bridge_;
  const grpc::GenericCallbackServerContext& context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
};

}  // namespace

grpc::ServerGenericBidiReactor* GatewayChannel::Bridge::CreateReactor(grpc::GenericCallbackServerContext* context) {
  return new BridgedCall(*this, *context);
}

GatewayChannel::GatewayChannel(GatewaySession session) : bridge_(std::make_unique<Bridge>(std::move(session))) {
  server_ = MakeInProcessServer(*bridge_, kMessageBytesMax);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  channel_ = server_->InProcessChannel(arguments);
}

GatewayChannel::~GatewayChannel() {
  channel_.reset();
  server_->Shutdown(std::chrono::system_clock::now());
}

}  // namespace allod::cli::net
