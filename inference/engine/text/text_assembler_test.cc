#include "inference/engine/text/text_assembler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace allod::inference::engine::text::text_assembler_test {
namespace {

struct Delivered {
  std::vector<std::string> texts;  // one for each piece, then what Finish gave
  std::vector<int> counts;
  bool stopped = false;
};

Delivered Feed(std::vector<std::string> stops, const std::vector<std::string>& pieces) {
  TextAssembler assembler(std::move(stops));
  Delivered out;
  for (const std::string& piece : pieces) {
    TextDelta delta;
    out.stopped = assembler.Add(piece, delta);
    out.texts.push_back(delta.text);
    out.counts.push_back(delta.token_count);
    if (out.stopped) return out;
  }
  TextDelta last;
  assembler.Finish(last);
  out.texts.push_back(last.text);
  out.counts.push_back(last.token_count);
  return out;
}

using Texts = std::vector<std::string>;
using Counts = std::vector<int>;

TEST(TextAssembler, PassesPlainTextOnAtOnce) {
  const Delivered out = Feed({}, {"Ha", "bari", " yako"});
  EXPECT_EQ(out.texts, (Texts{"Ha", "bari", " yako", ""}));
  EXPECT_EQ(out.counts, (Counts{1, 1, 1, 0}));
}

TEST(TextAssembler, WaitsForTheRestOfACharacterAndCountsItsTokensTogether) {
  const Delivered out = Feed({}, {"a\xF0\x9F", "\x98",
                                  "\x80"
                                  "b",
                                  "\xC3", "\xA9"});
  EXPECT_EQ(out.texts, (Texts{"a", "",
                              "\xF0\x9F\x98\x80"
                              "b",
                              "", "\xC3\xA9", ""}));
  // The first token counted with its "a".
  EXPECT_EQ(out.counts, (Counts{1, 0, 2, 0, 2, 0}));
}

TEST(TextAssembler, ReplacesBytesThatCannotBecomeACharacter) {
  EXPECT_EQ(Feed({}, {"\xFF"}).texts.front(), "\xEF\xBF\xBD");
  EXPECT_EQ(Feed({}, {"\xE2\x82", "x"}).texts[1], "\xEF\xBF\xBDx");
  EXPECT_EQ(Feed({}, {"\xED\xA0\x80"}).texts.front(), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(Feed({}, {"\xC0\x80"}).texts.front(), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong
}

TEST(TextAssembler, DropsAnIncompleteCharacterAtTheEnd) {
  const Delivered out = Feed({}, {"ok", "\xE2\x82"});
  EXPECT_EQ(out.texts, (Texts{"ok", "", ""}));
  EXPECT_EQ(out.counts, (Counts{1, 0, 0}));
}

TEST(TextAssembler, FindsStopStringsAcrossTokens) {
  const Delivered out = Feed({"STOP"}, {"one S", "T", "OP two"});
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.texts, (Texts{"one ", "", ""}));
  EXPECT_EQ(out.counts, (Counts{1, 0, 0}));
}

TEST(TextAssembler, ReleasesAHeldBackPrefixThatWasNone) {
  const Delivered out = Feed({"STOP"}, {"a ST", "x"});
  EXPECT_EQ(out.texts, (Texts{"a ", "STx", ""}));
  // "a ST" counted when its beginning went out.
  EXPECT_EQ(out.counts, (Counts{1, 1, 0}));
}

TEST(TextAssembler, ReleasesWhatIsHeldBackAtTheEndWithoutCountingTwice) {
  const Delivered out = Feed({"STOP"}, {"aS", "T"});
  EXPECT_EQ(out.texts, (Texts{"a", "", "ST"}));
  EXPECT_EQ(out.counts, (Counts{1, 0, 1}));
}

TEST(TextAssembler, TheEarliestStopStringWins) {
  const Delivered out = Feed({"later", "\n"}, {"a\nb later"});
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.texts.front(), "a");
}

TEST(TextAssembler, OverlappingBeginningsAreFound) {
  const Delivered out = Feed({"aab"}, {"a", "a", "a", "b"});
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.texts, (Texts{"", "", "a", ""}));
  EXPECT_EQ(out.counts, (Counts{0, 0, 1, 0}));
}

TEST(TextAssembler, StopStringInsideACharacterSequence) {
  const Delivered out = Feed({"\xC3\xA9"}, {"caf\xC3", "\xA9!"});
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.texts, (Texts{"caf", ""}));
}

TEST(TextAssembler, EmptyPiecesCountNothing) {
  const Delivered out = Feed({}, {"", "a", ""});
  EXPECT_EQ(out.counts, (Counts{0, 1, 0, 0}));
}

}  // namespace
}  // namespace allod::inference::engine::text::text_assembler_test
