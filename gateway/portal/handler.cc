#include "gateway/portal/handler.h"

#include <string>
#include <vector>

#include "gateway/http/error.h"
#include "gateway/portal/acting.h"
#include "gateway/portal/openapi.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::portal {
namespace {

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

Result<std::string> FromBuffer(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return Internal("a service gave an answer that cannot be read");
  std::string out;
  for (const grpc::Slice& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

std::string_view WithoutPrefix(std::string_view path) { return path.substr(std::string_view(kPortalPrefix).size()); }

Status CheckMediaType(const http::Request& request) {
  const std::string_view type = request.Header("content-type");
  if (request.body.empty() || type.empty() || http::SameToken(type.substr(0, type.find(';')), "application/json"))
    return {};
  return InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
}

}  // namespace

Handler::Handler(access::Admission& admission, const access::LimitTable& tenants, const Transcoder& transcoder,
                 const PortalBackends& backends, std::chrono::milliseconds timeout)
    : admission_(admission),
      tenants_(tenants),
      transcoder_(transcoder),
      tenancy_(backends.tenancy),
      catalog_(backends.catalog),
      billing_(backends.billing),
      scheduling_(backends.scheduling),
      timeout_(timeout) {}

grpc::GenericStub& Handler::StubOf(Backend backend) {
  switch (backend) {
    case Backend::kTenancy:
      return tenancy_;
    case Backend::kCatalog:
      return catalog_;
    case Backend::kBilling:
      return billing_;
    case Backend::kScheduling:
      return scheduling_;
  }
  return tenancy_;
}

Result<Handler::Prepared> Handler::Prepare(const access::Principal& principal, const http::Request& request,
                                           http::Headers& headers) const {
  ALLOD_TRY(access::Admission::Permit permit, admission_.Admit(principal, std::chrono::steady_clock::now(), headers));
  ALLOD_TRY(const Transcoder::Match match,
            transcoder_.Find(request.method == "HEAD" ? "GET" : request.method, WithoutPrefix(request.path)));
  ALLOD_CHECK_OK(CheckMediaType(request));
  ALLOD_TRY(std::string message,
            transcoder_.EncodeRequest(match, request.query, request.body, request.Header("idempotency-key"),
                                      principal.request_ids_of()));
  ALLOD_TRY(Caller caller, ActingCaller(principal, match, request.Header("x-allod-project"), tenants_));
  return Prepared{match.route, std::move(message), std::move(caller), std::move(permit)};
}

std::vector<std::string> Handler::MethodsOf(std::string_view path) const {
  return transcoder_.MethodsOf(WithoutPrefix(path));
}

http::Awaitable<void> Handler::Handle(const access::Principal& principal, http::Request& request,
                                      http::ResponseWriter& out) {
  http::Headers headers;
  const Result<Prepared> prepared = Prepare(principal, request, headers);
  http::Response response;
  if (!prepared) {
    response = http::ErrorResponse(http::ErrorStyle::kProblem, prepared.error());
  } else {
    Result<std::string> body = co_await Call(*prepared, out);
    if (!body && out.gone()) co_return;  // it was cancelled
    if (body) {
      response.body = *std::move(body);
    } else {
      response = http::ErrorResponse(http::ErrorStyle::kProblem, body.error());
    }
  }
  response.headers.insert(response.headers.end(), headers.begin(), headers.end());
  co_await out.Send(std::move(response));
}

http::Awaitable<Result<std::string>> Handler::Call(const Prepared& prepared, http::ResponseWriter& out) {
  const auto context = MakeContext(prepared.caller, timeout_, &out.trace());
  const grpc::ByteBuffer request = ToBuffer(prepared.message);
  grpc::ByteBuffer response;
  out.OnInterrupt([&context] { context->TryCancel(); });
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    StubOf(prepared.route->backend)
        .UnaryCall(context.get(), prepared.route->RpcPath(), grpc::StubOptions(), &request, &response, std::move(done));
  };
  const grpc::Status status = co_await http::AwaitRpc(start);
  out.OnInterrupt(nullptr);
  if (!status.ok()) {
    Error error = FromGrpc(status);
    if (error.code == Code::kUnavailable && error.reason == "RPC_FAILED") {
      error.message = "the service that answers this is not reachable right now; try again";
    }
    co_return std::unexpected(std::move(error));
  }
  const Result<std::string> bytes = FromBuffer(response);
  if (!bytes) co_return std::unexpected(bytes.error());
  co_return transcoder_.DecodeResponse(*prepared.route, *bytes);
}

}  // namespace allod::gateway::portal
