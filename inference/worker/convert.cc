#include "inference/worker/convert.h"

#include <utility>

namespace allod::inference::worker {
namespace {

SamplingOptions FromProto(const v1::Sampling& sampling) {
  SamplingOptions options;
  if (sampling.has_temperature()) options.temperature = sampling.temperature();
  if (sampling.has_top_p()) options.top_p = sampling.top_p();
  if (sampling.has_top_k()) options.top_k = sampling.top_k();
  if (sampling.has_min_p()) options.min_p = sampling.min_p();
  if (sampling.has_frequency_penalty()) options.frequency_penalty = sampling.frequency_penalty();
  if (sampling.has_presence_penalty()) options.presence_penalty = sampling.presence_penalty();
  if (sampling.has_seed()) options.seed = sampling.seed();
  return options;
}

v1::FinishReason ToProto(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
  }
  std::unreachable();
}

struct EventToProto {
  v1::GenerateResponse& response;

  void operator()(const Started& started) const {
    response.mutable_started()->set_prompt_tokens(started.prompt_tokens);
  }
  void operator()(TextDelta& delta) const {
    response.mutable_delta()->set_text(std::move(delta.text));
    response.mutable_delta()->set_token_count(delta.token_count);
  }
  void operator()(const Finished& finished) const {
    v1::GenerateResponse::Finished& out = *response.mutable_finished();
    out.set_reason(ToProto(finished.reason));
    out.set_prompt_tokens(finished.prompt_tokens);
    out.set_completion_tokens(finished.completion_tokens);
    out.set_sampled_tokens(finished.sampled_tokens);
    out.set_prefill_seconds(finished.prefill_seconds);
    out.set_decode_seconds(finished.decode_seconds);
  }
};

}  // namespace

Result<GenerationRequest> FromProto(const v1::GenerateRequest& request) {
  GenerationRequest out;
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kChat: {
      auto& messages = out.prompt.emplace<std::vector<ChatMessage>>();
      for (const v1::ChatMessage& message : request.chat().messages()) {
        messages.push_back({message.role(), message.content()});
      }
      break;
    }
    case v1::GenerateRequest::kText:
      out.prompt = request.text();
      break;
    case v1::GenerateRequest::PROMPT_NOT_SET:
      return InvalidArgument("INVALID_PROMPT", "the request has neither chat nor text; set one");
  }
  out.max_completion_tokens = request.max_completion_tokens();
  out.sampling = FromProto(request.sampling());
  out.stop.assign(request.stop().begin(), request.stop().end());
  return out;
}

v1::GenerateResponse ToProto(Event event) {
  v1::GenerateResponse response;
  std::visit(EventToProto{response}, event);
  return response;
}

}  // namespace allod::inference::worker
