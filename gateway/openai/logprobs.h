// Writes log probabilities as OpenAI's two endpoints shape them. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "allod/inference/v1/worker.pb.h"

namespace allod::gateway::openai {

using TokenLogprobs = google::protobuf::RepeatedPtrField<inference::v1::GenerateResponse::Delta::Logprob>;

// {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}; null when there are none. A token that
// is part of a character shows as U+FFFD; its bytes tell.
nlohmann::ordered_json ChatLogprobsObject(const TokenLogprobs& logprobs);

// {"tokens","token_logprobs","top_logprobs","text_offset"}; null when there are none. Offsets count characters of the
// delivered text; the first token stands at `text_offset`, which is moved behind the last.
nlohmann::ordered_json TextLogprobsObject(const TokenLogprobs& logprobs, std::int64_t& text_offset);

}  // namespace allod::gateway::openai
