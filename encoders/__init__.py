"""Deep encoders: windows of the past in, factor states out. No encoder sees a label outside its training loss."""
