#include "inference/gguf/vocabulary.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "inference/gguf/types.h"

namespace allod::inference::gguf {
namespace {

// llama.cpp's numbers of the kinds of tokens.
constexpr std::int32_t kTokenTypeMax = 6;
constexpr std::int32_t kTokenTypeByte = 6;

const std::string kTokens = "tokenizer.ggml.tokens";
const std::string kMerges = "tokenizer.ggml.merges";
const std::string kScores = "tokenizer.ggml.scores";
const std::string kTypes = "tokenizer.ggml.token_type";

std::unexpected<Error> BadVocabulary(const std::string& what) { return InvalidArgument("GGUF_BAD_VOCABULARY", what); }

// A cursor behind the array's element type and count.
Result<Cursor> OpenArray(Source& source, const Value& value) {
  constexpr std::uint64_t kArrayHead = 4 + 8;
  Cursor cursor(source, value.end);
  ALLOD_CHECK_OK(cursor.Skip(value.at + kArrayHead, "an array"));
  return cursor;
}

// Calls `each` with the index and text of every string. No text may be longer than `bytes_max` or hold a zero byte,
// where C strings end.
Status ForEachString(Source& source, const std::string& key, const Value& value, std::uint64_t bytes_max,
                     const std::function<Status(std::uint64_t, std::string&&)>& each) {
  ALLOD_TRY(Cursor cursor, OpenArray(source, value));
  for (std::uint64_t i = 0; i < value.elements; ++i) {
    ALLOD_TRY(const std::uint64_t bytes, cursor.U64("a string length"));
    if (bytes > bytes_max) {
      return InvalidArgument("GGUF_LIMIT", fmt::format("key {}: entry {} has {} bytes; at most {} are accepted", key, i,
                                                       bytes, bytes_max));
    }
    ALLOD_TRY(std::string text, cursor.Text(bytes, "an array's string"));
    if (text.find('\0') != std::string::npos)
      return BadVocabulary(fmt::format("key {}: entry {} has a zero byte", key, i));
    ALLOD_CHECK_OK(each(i, std::move(text)));
  }
  return {};
}

template <typename T>
Result<std::vector<T>> ReadNumbers(Source& source, const Value& value) {
  ALLOD_TRY(Cursor cursor, OpenArray(source, value));
  std::vector<T> numbers(static_cast<std::size_t>(value.elements));
  ALLOD_CHECK_OK(cursor.Bytes(std::as_writable_bytes(std::span(numbers)), "an array"));
  return numbers;
}

Status CheckLength(const std::string& key, const Value& value, std::uint64_t tokens) {
  if (value.elements == tokens) return {};
  return BadVocabulary(
      fmt::format("key {} (byte {}) has {} entries for {} tokens", key, value.at, value.elements, tokens));
}

Status CheckScores(Source& source, const Value* value, std::uint64_t tokens) {
  if (value == nullptr) return {};
  ALLOD_CHECK_OK(CheckLength(kScores, *value, tokens));
  ALLOD_TRY(const std::vector<float> scores, ReadNumbers<float>(source, *value));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return BadVocabulary(fmt::format("the score of token {} is no number", i));
  }
  return {};
}

Result<std::vector<std::int32_t>> ReadTypes(Source& source, const Value* value, std::uint64_t tokens) {
  if (value == nullptr) return std::vector<std::int32_t>();
  ALLOD_CHECK_OK(CheckLength(kTypes, *value, tokens));
  ALLOD_TRY(std::vector<std::int32_t> types, ReadNumbers<std::int32_t>(source, *value));
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 0 || types[i] > kTokenTypeMax) {
      return BadVocabulary(fmt::format("token {} has the type {}; 0 to {} are known", i, types[i], kTokenTypeMax));
    }
  }
  return types;
}

// "<0x41>" -> 0x41; -1 for anything else.
int ByteOf(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const auto high = kDigits.find(text[3]);
  const auto low = kDigits.find(text[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return -1;
  return static_cast<int>(high * 16 + low);
}

// Texts are unique; a byte token says its byte; and a SentencePiece vocabulary, which falls back to bytes, has them
// all.
Status CheckTokens(Source& source, const Value& value, const std::vector<std::int32_t>& types, bool falls_back) {
  std::unordered_set<std::string> seen;
  std::uint64_t text_bytes = 0;
  ALLOD_CHECK_OK(
      ForEachString(source, kTokens, value, kTokenBytesMax, [&](std::uint64_t i, std::string&& text) -> Status {
        text_bytes += text.size();
        if (text_bytes > kVocabularyBytesMax) {
          return InvalidArgument("GGUF_LIMIT",
                                 fmt::format("key {}: more than {} bytes of text", kTokens, kVocabularyBytesMax));
        }
        if (!types.empty() && types[i] == kTokenTypeByte && ByteOf(text) < 0) {
          return BadVocabulary(fmt::format("token {} is a byte token, but its text is not of the form <0x41>", i));
        }
        if (text.empty()) text = fmt::format("[EMPTY_{}]", i);  // what llama.cpp calls it
        if (!seen.insert(std::move(text)).second)
          return BadVocabulary(fmt::format("token {} has the text of an earlier one", i));
        return {};
      }));
  for (int byte = 0; falls_back && byte < 256; ++byte) {
    if (seen.contains(fmt::format("<0x{:02X}>", byte)) || seen.contains(std::string(1, static_cast<char>(byte))))
      continue;
    return BadVocabulary(fmt::format("there is no token for the byte {}", byte));
  }
  return {};
}

Status CheckMerges(Source& source, const Value* value) {
  if (value == nullptr) return BadVocabulary(fmt::format("key {} is missing, which a gpt2 tokeniser needs", kMerges));
  if (value->elements > kMergesMax) {
    return InvalidArgument("GGUF_LIMIT", fmt::format("key {} (byte {}): {} merges; at most {} are accepted", kMerges,
                                                     value->at, value->elements, kMergesMax));
  }
  return ForEachString(source, kMerges, *value, 2 * kTokenBytesMax + 1, [](auto, auto&&) { return Status(); });
}

}  // namespace

Result<std::uint64_t> CheckVocabulary(Source& source, const Metadata& metadata) {
  ALLOD_TRY(const auto tokeniser, metadata.Text("tokenizer.ggml.model"));
  if (tokeniser != "llama" && tokeniser != "gpt2") {
    return BadVocabulary(
        "tokenizer.ggml.model is missing or unknown; llama (SentencePiece) and gpt2 (byte pairs) are accepted");
  }
  const Value* tokens = metadata.Find(kTokens);
  if (tokens == nullptr) return BadVocabulary(fmt::format("key {} is missing", kTokens));
  if (tokens->elements < kTokensMin || tokens->elements > kTokensMax) {
    return BadVocabulary(fmt::format("key {} (byte {}): {} tokens; {} to {} are accepted", kTokens, tokens->at,
                                     tokens->elements, kTokensMin, kTokensMax));
  }
  ALLOD_CHECK_OK(CheckScores(source, metadata.Find(kScores), tokens->elements));
  ALLOD_TRY(const auto types, ReadTypes(source, metadata.Find(kTypes), tokens->elements));
  ALLOD_CHECK_OK(CheckTokens(source, *tokens, types, tokeniser == "llama"));
  if (tokeniser == "gpt2") ALLOD_CHECK_OK(CheckMerges(source, metadata.Find(kMerges)));
  return tokens->elements;
}

}  // namespace allod::inference::gguf
