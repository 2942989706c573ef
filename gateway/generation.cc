#include "gateway/generation.h"

#include <algorithm>
#include <string_view>

namespace allod::gateway {

using std::chrono::steady_clock;

namespace {

// Which parameter a refusal of the worker is about.
std::string ParamOf(std::string_view reason, bool chat, bool grammar) {
  if (reason == "CONTEXT_LENGTH_EXCEEDED" || reason == "TEMPLATE_FAILED" || reason == "INVALID_MESSAGE" ||
      reason == "EMPTY_PROMPT") {
    return chat ? "messages" : "prompt";
  }
  if (reason == "MODEL_NOT_GENERATIVE") return "model";
  if (reason == "INVALID_CONSTRAINT") return grammar ? "grammar" : "response_format";
  if (reason == "INVALID_TOOL") return "tools";
  return "";
}

}  // namespace

std::int64_t CompletionTokensMax(const inference::v1::GenerateRequest& request, std::int64_t context_tokens) {
  const std::int64_t asked = request.max_completion_tokens();
  const std::int64_t each = asked > 0 ? std::min<std::int64_t>(asked, context_tokens) : context_tokens;
  return each * std::max(request.choice_count(), 1);
}

Generation::Generation(inference::v1::GenerateRequest request, AnswerWriter& answer, InstanceMetrics& metrics)
    : request_(std::make_shared<const inference::v1::GenerateRequest>(std::move(request))),
      chat_(request_->has_chat()),
      grammar_(request_->constraint().has_grammar()),
      choice_count_(std::max(request_->choice_count(), 1)),
      answer_(answer),
      metrics_(metrics),
      start_(steady_clock::now()) {}

WorkerCall& Generation::Start(const std::shared_ptr<grpc::Channel>& channel, WorkerCall::SteadyTime deadline,
                              const boost::asio::any_io_executor& executor) {
  call_ = std::make_unique<GenerateCall>(channel, request_, deadline, executor);
  return *call_;
}

Awaitable<WorkerJob::Progress> Generation::TakeMessage() {
  inference::v1::GenerateResponse& message = call_->message();
  bool client_there = true;
  if (message.has_started()) {
    if (!started_) metrics_.ObserveWait(steady_clock::now() - start_);
    started_ = true;
    client_there = co_await answer_.Started(message.started());
  } else if (!started_) {
    co_return Broken("the replica answered before it accepted the request");
  } else if (message.has_delta()) {
    AnswerDelta& delta = *message.mutable_delta();
    if (delta.choice() < 0 || delta.choice() >= choice_count_) co_return Broken("the replica sent an unknown choice");
    client_there = co_await answer_.Delta(delta);
    if (client_there) CountDelta();
    if (answer_.has_text()) request_.reset();
  } else if (message.has_choice_finished()) {
    const auto& finished = message.choice_finished();
    if (finished.choice() < 0 || finished.choice() >= choice_count_) {
      co_return Broken("the replica finished an unknown choice");
    }
    client_there = co_await answer_.ChoiceFinished(finished.choice(), finished.reason());
  } else if (message.has_finished()) {
    client_there = co_await answer_.Finished(message.finished().reason());
    if (client_there) co_return Progress::kAnswered;
  }
  co_return client_there ? Progress::kMore : Progress::kClientGone;
}

Awaitable<WorkerJob::Progress> Generation::TakeEnd() { co_return Broken("the replica ended without an answer"); }

WorkerJob::Progress Generation::Broken(const char* what) {
  error_ = Error{Code::kInternal, "WORKER_LOST", what};
  return Progress::kRefused;
}

Awaitable<void> Generation::Fail(const Error& error) {
  const std::string param = ParamOf(error.reason, chat_, grammar_);
  co_await answer_.Fail(error, param);
}

void Generation::CountDelta() {
  const steady_clock::time_point now = steady_clock::now();
  if (last_delta_ == steady_clock::time_point{}) {
    metrics_.ObserveFirstToken(now - start_);
  } else {
    metrics_.ObserveNextToken(now - last_delta_);
  }
  last_delta_ = now;
}

}  // namespace allod::gateway
