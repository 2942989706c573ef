#include "inference/engine/text/text_pieces.h"

#include <gtest/gtest.h>

#include <vector>

namespace allod::inference::engine::text::text_pieces_test {
namespace {

std::vector<std::string> Pieces(std::string_view text, std::size_t bytes_max,
                                const std::vector<WholeText>& whole = {}) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = PieceEnd(text, at, bytes_max, whole);
    out.emplace_back(text.substr(at, end - at));
    if (end <= at) return out;
    at = end;
  }
  return out;
}

TEST(TextPieces, EndWhereWordsEnd) {
  struct Row {
    const char* says;
    std::string text;
    std::vector<std::string> pieces;
  };
  for (const Row& row : {
           Row{"nothing", "", {}},
           Row{"what is short stays whole", "one two three", {"one two three"}},
           Row{"before a blank and a letter", "one two three four five", {"one two three", " four five"}},
           Row{"the last one that fits", "a b c d e f g h i j k l", {"a b c d e f g h", " i j k l"}},
           Row{"not where there are two blanks", "one two three  four", {"one two", " three  four"}},
           Row{"behind a line break", "one two\nthree four", {"one two\nthree", " four"}},
           Row{"behind a line break if it is the last", "one two\nthree_four", {"one two\n", "three_four"}},
           Row{"not between line breaks, nor before a sign", "one\nxx++yy\n\nzz\n/zz", {"one\n", "xx++yy\n\nzz\n/zz"}},
           Row{"before a mark of Chinese", "日本語，。日本", {"日本語", "，。日本"}},
           Row{"nor beside a line break", "one two three\n four", {"one two", " three\n four"}},
           Row{"nor beside a wide space", "one two three\xC2\xA0 four", {"one two", " three\xC2\xA0 four"}},
           Row{"rather before a letter than before a digit", "one two 12 34 56 78", {"one", " two 12 34 56 78"}},
           Row{"before a digit if there is no letter", "11 22 33 44 55 66", {"11 22 33 44 55", " 66"}},
           Row{"before other scripts", "да нет да нет", {"да нет да", " нет"}},
           Row{"within a word that is too long",
               std::string(40, 'x'),
               {std::string(16, 'x'), std::string(16, 'x'), std::string(8, 'x')}},
           Row{"between characters", "日本語日本語日本語", {"日本語日本", "語日本語"}},
           Row{"white space without end", std::string(20, ' '), {std::string(16, ' '), std::string(4, ' ')}},
       }) {
    EXPECT_EQ(Pieces(row.text, 16), row.pieces) << row.says;
  }
}

TEST(TextPieces, LeaveWholeWhatIsOneToken) {
  const std::vector<WholeText> whole{{"<e of t>"}, {"<mask>", true, false}, {"<pad>", false, true}, {"MM", true}};
  struct Row {
    const char* says;
    std::string text;
    std::vector<std::string> pieces;
  };
  for (const Row& row : {
           Row{"with blanks in it", "aaaaaaa bbb<e of t>", {"aaaaaaa", " bbb<e of t>"}},
           Row{"that takes the blank before it", "aaaa bbbb MM MM MM", {"aaaa", " bbbb MM MM MM"}},
           Row{"that takes the blank after it", "aaa bbb <pad> cccc", {"aaa", " bbb <pad> cccc"}},
           Row{"within a word", "xxxxxxxxxxxx<mask>yyyy", {"xxxxxxxxxxxx", "<mask>yyyy"}},
           Row{"but between two", "<e of t><e of t><e of t>", {"<e of t><e of t>", "<e of t>"}},
       }) {
    EXPECT_EQ(Pieces(row.text, 16, whole), row.pieces) << row.says;
  }
}

TEST(TextPieces, AreNeverTooLongAndLoseNothing) {
  std::string text;
  std::uint32_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 1664525 + 1013904223;
    constexpr const char* kParts[] = {"a", "b", " ", "  ", "\n", "é", "日", "😀", "1", "!", "\xFF", "\x80", "<pad>"};
    text += kParts[(random >> 16) % std::size(kParts)];
  }
  const std::vector<WholeText> whole{{"<pad>", true, true}};
  for (const std::size_t bytes_max : {16U, 100U, 4096U}) {
    std::string all;
    for (const std::string& piece : Pieces(text, bytes_max, whole)) {
      EXPECT_LE(piece.size(), bytes_max);
      EXPECT_FALSE(piece.empty());
      all += piece;
    }
    EXPECT_EQ(all, text);
  }
}

}  // namespace
}  // namespace allod::inference::engine::text::text_pieces_test
