#include "tests/bench/binary_copy.h"

#include <stdexcept>
#include <string_view>

namespace allod {
namespace {

// Signature, flags and no extension; then rows; then the number of fields -1.
constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::string_view kTrailer("\377\377", 2);

using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

}  // namespace

BinaryCopy::BinaryCopy(const std::string& url) : connection_(PQconnectdb(url.c_str()), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) Throw("connect");
}

void BinaryCopy::Throw(const std::string& what) const {
  throw std::runtime_error(what + ": " + PQerrorMessage(connection_.get()));
}

void BinaryCopy::Exec(const std::string& sql) {
  const ResultPtr result(PQexec(connection_.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) Throw(sql);
}

std::vector<std::string> BinaryCopy::Take(const std::string& query) {
  const std::string sql = "COPY (" + query + ") TO STDOUT (FORMAT binary)";
  const ResultPtr begun(PQexec(connection_.get(), sql.c_str()), &PQclear);
  if (PQresultStatus(begun.get()) != PGRES_COPY_OUT) Throw(sql);
  std::vector<std::string> rows;
  char* data = nullptr;
  bool is_first = true;
  int bytes = 0;
  while ((bytes = PQgetCopyData(connection_.get(), &data, 0)) > 0) {
    std::string row(data, static_cast<std::size_t>(bytes));
    PQfreemem(data);
    if (is_first) row.erase(0, kHeader.size());
    is_first = false;
    if (!row.empty() && row != kTrailer) rows.push_back(std::move(row));
  }
  if (bytes != -1) Throw(sql);
  while (const ResultPtr end{PQgetResult(connection_.get()), &PQclear}) {
    if (PQresultStatus(end.get()) != PGRES_COMMAND_OK) Throw(sql);
  }
  return rows;
}

void BinaryCopy::Put(const std::string& table, std::span<const std::string> rows) {
  const std::string sql = "COPY " + table + " FROM STDIN (FORMAT binary)";
  const ResultPtr begun(PQexec(connection_.get(), sql.c_str()), &PQclear);
  if (PQresultStatus(begun.get()) != PGRES_COPY_IN) Throw(sql);
  std::string stream(kHeader);
  for (const std::string& row : rows) stream += row;
  stream += kTrailer;
  if (PQputCopyData(connection_.get(), stream.data(), static_cast<int>(stream.size())) != 1 ||
      PQputCopyEnd(connection_.get(), nullptr) != 1) {
    Throw(sql);
  }
  while (const ResultPtr end{PQgetResult(connection_.get()), &PQclear}) {
    if (PQresultStatus(end.get()) != PGRES_COMMAND_OK) Throw(sql);
  }
}

}  // namespace allod
