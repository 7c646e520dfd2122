// Greets whoever is named in {"name": …}, with a greeting that the namespace's database has for the language.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"unsafe"
)

//go:wasmimport env db_query
func dbQuery(sql unsafe.Pointer, sqlLength uint32, args unsafe.Pointer, argsLength uint32) uint64

// What host functions returned: Go's collector must not take it.
var kept [][]byte

// The gateway asks for memory here, for what its host functions return.
//
//go:wasmexport orama_alloc
func oramaAlloc(size uint32) uint32 {
	block := make([]byte, size)
	kept = append(kept, block)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(block))))
}

// Rows of a query as JSON, or nothing where it failed: values go into args, never into the text.
func query(sql string, args ...any) []byte {
	list, err := json.Marshal(args)
	if err != nil {
		return nil
	}
	packed := dbQuery(unsafe.Pointer(unsafe.StringData(sql)), uint32(len(sql)),
		unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list)))
	if packed == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(packed>>32))), uint32(packed))
}

func main() {
	var request struct{ Name, Language string }
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		fmt.Fprintln(os.Stderr, "the input must be JSON, such as {\"name\": \"Ada\"}:", err)
		os.Exit(1)
	}
	var rows []struct{ Greeting string }
	sql := "WITH words(language, greeting) AS (VALUES ('en', 'Hello'), ('de', 'Hallo')) " +
		"SELECT greeting FROM words WHERE language = ?"
	greeting := "Hello"
	if json.Unmarshal(query(sql, request.Language), &rows) == nil && len(rows) > 0 {
		greeting = rows[0].Greeting
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"greeting": fmt.Sprintf("%s, %s!", greeting, request.Name)})
}
