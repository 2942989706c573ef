// Rows of PostgreSQL in the binary format of COPY: taken from one table, put into another of the same shape, as fast as
// the server takes them. Over libpq, because libpqxx has no binary COPY. Throws std::runtime_error.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace allod {

class BinaryCopy {
 public:
  explicit BinaryCopy(const std::string& url);

  void Exec(const std::string& sql);
  // Each row of `COPY ({query}) TO STDOUT`, as it is in a stream of such rows.
  std::vector<std::string> Take(const std::string& query);
  // `COPY {table} FROM STDIN`, `table` with its columns.
  void Put(const std::string& table, std::span<const std::string> rows);

 private:
  [[noreturn]] void Throw(const std::string& what) const;

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

}  // namespace allod
