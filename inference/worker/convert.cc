#include "inference/worker/convert.h"

#include <utility>

namespace allod::inference::worker {
namespace {

ports::SamplingOptions FromProto(const v1::Sampling& sampling) {
  ports::SamplingOptions options;
  if (sampling.has_temperature()) options.temperature = sampling.temperature();
  if (sampling.has_top_p()) options.top_p = sampling.top_p();
  if (sampling.has_top_k()) options.top_k = sampling.top_k();
  if (sampling.has_min_p()) options.min_p = sampling.min_p();
  if (sampling.has_frequency_penalty()) options.frequency_penalty = sampling.frequency_penalty();
  if (sampling.has_presence_penalty()) options.presence_penalty = sampling.presence_penalty();
  if (sampling.has_seed()) options.seed = sampling.seed();
  options.logit_bias.assign(sampling.logit_bias().begin(), sampling.logit_bias().end());
  return options;
}

v1::FinishReason ToProto(ports::FinishReason reason) {
  switch (reason) {
    case ports::FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case ports::FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case ports::FinishReason::kToolCalls:
      return v1::FINISH_REASON_TOOL_CALLS;
  }
  std::unreachable();
}

void ToProto(ports::TokenLogprob one, v1::TokenLogprob& out) {
  out.set_token(std::move(one.token));
  out.set_logprob(one.logprob);
}

struct EventToProto {
  v1::GenerateResponse& response;

  void operator()(const ports::Started& started) const {
    response.mutable_started()->set_prompt_tokens(started.prompt_tokens);
    response.mutable_started()->set_cached_prompt_tokens(started.cached_prompt_tokens);
  }
  void operator()(ports::Delta& delta) const {
    v1::GenerateResponse::Delta& out = *response.mutable_delta();
    out.set_choice(delta.choice);
    out.set_text(std::move(delta.text));
    out.set_token_count(delta.token_count);
    for (ports::TokenLogprobs& one : delta.logprobs) {
      v1::GenerateResponse::Delta::Logprob& logprob = *out.add_logprobs();
      ToProto(std::move(one.chosen), *logprob.mutable_token());
      for (ports::TokenLogprob& top : one.top) ToProto(std::move(top), *logprob.add_top());
    }
    for (ports::ToolCallPiece& piece : delta.tool_calls) {
      v1::GenerateResponse::Delta::ToolCallPiece& call = *out.add_tool_calls();
      call.set_index(piece.index);
      call.set_id(std::move(piece.id));
      call.set_name(std::move(piece.name));
      call.set_arguments(std::move(piece.arguments));
    }
  }
  void operator()(const ports::ChoiceFinished& finished) const {
    response.mutable_choice_finished()->set_choice(finished.choice);
    response.mutable_choice_finished()->set_reason(ToProto(finished.reason));
  }
  void operator()(const ports::Finished& finished) const {
    v1::GenerateResponse::Finished& out = *response.mutable_finished();
    out.set_reason(ToProto(finished.reason));
    out.set_prompt_tokens(finished.prompt_tokens);
    out.set_cached_prompt_tokens(finished.cached_prompt_tokens);
    out.set_completion_tokens(finished.completion_tokens);
    out.set_sampled_tokens(finished.sampled_tokens);
    out.set_prefill_seconds(finished.prefill_seconds);
    out.set_decode_seconds(finished.decode_seconds);
  }
};

ports::ToolChoice FromProto(v1::ToolChoice choice) {
  switch (choice) {
    case v1::TOOL_CHOICE_NONE:
      return ports::ToolChoice::kNone;
    case v1::TOOL_CHOICE_REQUIRED:
      return ports::ToolChoice::kRequired;
    default:
      return ports::ToolChoice::kAuto;
  }
}

ports::ChatPrompt FromProto(const v1::ChatPrompt& chat) {
  ports::ChatPrompt out;
  for (const v1::ChatMessage& message : chat.messages()) {
    ports::ChatMessage& to = out.messages.emplace_back();
    to.role = message.role();
    to.content = message.content();
    to.tool_call_id = message.tool_call_id();
    for (const v1::ToolCall& call : message.tool_calls()) {
      to.tool_calls.push_back({call.id(), call.name(), call.arguments()});
    }
  }
  for (const v1::Tool& tool : chat.tools()) out.tools.push_back({tool.name(), tool.description(), tool.parameters()});
  out.tool_choice = FromProto(chat.tool_choice());
  out.parallel_tool_calls = chat.parallel_tool_calls();
  return out;
}

ports::OutputConstraint FromProto(const v1::OutputConstraint& constraint) {
  switch (constraint.kind_case()) {
    case v1::OutputConstraint::kJsonSchema:
      return ports::JsonSchemaConstraint{constraint.json_schema()};
    case v1::OutputConstraint::kJsonObject:
      if (constraint.json_object()) return ports::JsonObjectConstraint{};
      return ports::NoConstraint{};
    case v1::OutputConstraint::kGrammar:
      return ports::GrammarConstraint{constraint.grammar()};
    case v1::OutputConstraint::KIND_NOT_SET:
      return ports::NoConstraint{};
  }
  std::unreachable();
}

}  // namespace

Result<ports::GenerationRequest> FromProto(const v1::GenerateRequest& request) {
  ports::GenerationRequest out;
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kChat:
      out.prompt = FromProto(request.chat());
      break;
    case v1::GenerateRequest::kText:
      out.prompt = request.text();
      break;
    case v1::GenerateRequest::PROMPT_NOT_SET:
      return InvalidArgument("INVALID_PROMPT", "the request has neither chat nor text; set one");
  }
  out.max_completion_tokens = request.max_completion_tokens();
  out.sampling = FromProto(request.sampling());
  out.stop.assign(request.stop().begin(), request.stop().end());
  out.choices = request.choice_count() == 0 ? 1 : request.choice_count();
  out.logprobs = request.logprobs();
  out.top_logprobs = request.top_logprobs();
  out.constraint = FromProto(request.constraint());
  out.request_id = request.request_id();
  out.tenant_uid = request.tenant_uid();
  out.instance = request.instance();
  return out;
}

ports::EmbeddingRequest FromProto(const v1::EmbedRequest& request) {
  ports::EmbeddingRequest out;
  out.inputs.assign(request.inputs().begin(), request.inputs().end());
  out.dimensions = request.dimensions();
  out.request_id = request.request_id();
  out.tenant_uid = request.tenant_uid();
  out.instance = request.instance();
  return out;
}

v1::EmbedResponse ToProto(const ports::Embeddings& embeddings) {
  v1::EmbedResponse response;
  for (const std::vector<float>& vector : embeddings.vectors) {
    response.add_embeddings()->mutable_values()->Add(vector.begin(), vector.end());
  }
  response.set_prompt_tokens(embeddings.prompt_tokens);
  return response;
}

v1::GenerateResponse ToProto(ports::Event event) {
  v1::GenerateResponse response;
  std::visit(EventToProto{response}, event);
  return response;
}

}  // namespace allod::inference::worker
