#include "gateway/openai/embedding.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "gateway/metering/delivered.h"
#include "gateway/openai/answer_check.h"
#include "gateway/openai/answer_writer.h"
#include "gateway/openai/embedding_response.h"

namespace allod::gateway::openai {

using std::chrono::steady_clock;

namespace {

std::string ParamOf(std::string_view reason) {
  if (reason == "CONTEXT_LENGTH_EXCEEDED" || reason == "INVALID_INPUT" || reason == "TOKENIZE_FAILED") return "input";
  if (reason == "MODEL_NOT_EMBEDDING") return "model";
  if (reason == "WRONG_DIMENSIONS") return "dimensions";
  return "";
}

}  // namespace

Embedding::Embedding(EmbeddingRequest request, http::Headers headers, metering::MeteredRequest& metered,
                     telemetry::InstanceMetrics metrics, http::ResponseWriter& out)
    : request_(std::move(request)),
      embed_(std::make_shared<const inference::v1::EmbedRequest>(request_.embed)),
      headers_(std::move(headers)),
      metered_(metered),
      metrics_(std::move(metrics)),
      out_(out),
      start_(steady_clock::now()),
      spent_(embed_->ByteSizeLong()) {}

serving::WorkerCall& Embedding::Start(const std::shared_ptr<grpc::Channel>& channel,
                                      serving::WorkerCall::SteadyTime deadline,
                                      const boost::asio::any_io_executor& executor) {
  spent_.Sent();
  call_ = std::make_unique<serving::EmbedCall>(channel, embed_, deadline, out_.trace(), executor);
  return *call_;
}

http::Awaitable<serving::WorkerJob::Progress> Embedding::TakeMessage() { co_return Progress::kMore; }

bool Embedding::Fits(const inference::v1::EmbedResponse& response) {
  if (response.prompt_tokens() > bounds_.prompt) {
    error_ = Error{Code::kUnavailable, "BEYOND_HOLD", "the instance is being updated; try again"};
    return false;
  }
  const std::int64_t context_tokens = bounds_.prompt / std::max(embed_->inputs_size(), 1);
  if (std::string wrong = CheckEmbeddings(*embed_, context_tokens, response); !wrong.empty()) {
    error_ = Error{Code::kInternal, "WORKER_LOST", std::move(wrong)};
    return false;
  }
  if (embed_->dimensions() == 0 || embed_->dimensions() == response.embeddings(0).values_size()) return true;
  error_ = Error{Code::kInternal, "WORKER_LOST", "the replica answered with vectors of another size"};
  return false;
}

http::Awaitable<serving::WorkerJob::Progress> Embedding::TakeEnd() {
  const inference::v1::EmbedResponse& embedded = call_->response();
  if (!Fits(embedded)) co_return Progress::kRefused;
  spent_.Read(embedded.prompt_tokens());
  metrics_.ObserveWait(steady_clock::now() - start_);
  metered_.SetPromptTokens(embedded.prompt_tokens(), 0);
  if (out_.gone()) co_return Progress::kClientGone;  // whether one who has left takes it nobody knows
  http::Response response;
  response.headers = headers_;
  response.body = EmbeddingsJson(request_.model, embedded, request_.base64);
  metering::HandOver hand_over(metered_, 0, metering::HandOver::Part::kEnd);
  const http::Taken taken = co_await out_.Send(std::move(response));
  const bool delivered = metering::IsDelivered(taken, out_.shutting_down());
  if (delivered) hand_over.Done();
  co_return delivered ? Progress::kAnswered : Progress::kClientGone;
}

http::Awaitable<serving::WorkerJob::Progress> Embedding::EndAtLimit() { co_return Progress::kMore; }

http::Awaitable<bool> Embedding::KeepAlive() { co_return !out_.gone(); }

http::Awaitable<void> Embedding::Fail(const Error& error) {
  if (serving::NotTakenUp(error)) spent_.NotTakenUp();
  const std::string param = ParamOf(error.reason);
  http::Response refusal = OpenAiFailure(error, param, headers_);
  co_await out_.Send(std::move(refusal));
}

}  // namespace allod::gateway::openai
