// The vocabulary of the synthetic benchmark model: SentencePiece pieces made from a list of common English words, their
// forms and the syllables of the language. English prose comes out at about the token count that a trained vocabulary
// of this size gives; anything else falls back to letters and bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace allod::bench {

// llama.cpp's numbers.
enum class PieceType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

struct Vocabulary {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
};

inline constexpr std::int32_t kUnknownToken = 0;
inline constexpr std::int32_t kBosToken = 1;
inline constexpr std::int32_t kEosToken = 2;

// Exactly `size` pieces, 8,000 to 32,000, always the same ones.
Vocabulary MakeVocabulary(std::size_t size);

}  // namespace allod::bench
