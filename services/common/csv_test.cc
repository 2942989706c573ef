#include "services/common/csv.h"

#include <gtest/gtest.h>

namespace allod::csv_test {
namespace {

TEST(CsvRows, NoSpreadsheetTakesAFieldForMoreThanText) {
  CsvRows rows;
  for (const char* text : {"a", "=1+1", "-2", "b,c", "d\"e", "f\r\ng", ""}) rows.Add(text);
  rows.AddNumber("-2");
  rows.End();
  EXPECT_EQ(rows.Take(), "a,'=1+1,'-2,\"b,c\",\"d\"\"e\",\"f\r\ng\",,-2\r\n");
}

TEST(CsvRows, AreGivenAwayOnce) {
  CsvRows rows;
  rows.Add("a");
  rows.End();
  rows.Add("b");
  EXPECT_EQ(rows.Take(), "a\r\nb");
  rows.End();
  rows.Add("c");
  rows.End();
  EXPECT_EQ(rows.Take(), "\r\nc\r\n");
}

}  // namespace
}  // namespace allod::csv_test
