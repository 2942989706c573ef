// The vocabulary in a GGUF header, read whole and checked against what llama.cpp takes for granted: it ends the process
// on tokens that are there twice, and reads past texts that are too short.
#pragma once

#include "inference/gguf/limits.h"
#include "inference/gguf/metadata.h"
#include "inference/gguf/source.h"
#include "services/common/result.h"

namespace allod::inference::gguf {

// The number of tokens. GGUF_BAD_VOCABULARY or GGUF_LIMIT names the key or the token. Needs memory for the texts of
// all tokens, at most kVocabularyBytesMax.
Result<std::uint64_t> CheckVocabulary(Source& source, const Metadata& metadata);

inline constexpr std::uint64_t kTokensMin = 32;  // llama.cpp's default special tokens are all below
inline constexpr std::uint64_t kTokensMax = 1 << 20;
inline constexpr std::uint64_t kTokenBytesMax = 1024;
inline constexpr std::uint64_t kMergesMax = 4 << 20;
inline constexpr std::uint64_t kVocabularyBytesMax = 64 << 20;

}  // namespace allod::inference::gguf
